"""Cuts Pretendard down to what the page's own sentences need.

    python www/subset.py FOLDER   (npm's pretendard, dist/public/static; needs fonttools and brotli)

What visitors type may hold any syllable; the system's own face, next in the list of fonts, draws those.
"""

import subprocess
import sys
from pathlib import Path

from fontTools.ttLib import TTFont

HERE = Path(__file__).parent / "fonts"
SENTENCES = HERE.parent.parent / "web" / "src"
WEIGHTS = {"400": "Pretendard-Regular.otf", "600": "Pretendard-SemiBold.otf"}


def main() -> None:
    fonts = Path(sys.argv[1])
    text = "".join(path.read_text() for path in sorted(SENTENCES.rglob("*.rs")))
    glyphs = {char for char in text if ord(char) > 0x7E and not char.isspace()} | {chr(code) for code in range(0x20, 0x7F)}
    for weight, source in WEIGHTS.items():
        target = HERE / f"ottla-sans-{weight}.woff2"
        subprocess.run(
            [
                "pyftsubset",
                str(fonts / source),
                f"--text={''.join(sorted(glyphs))}",
                f"--output-file={target}",
                "--flavor=woff2",
                "--layout-features=kern,liga,tnum,calt",
                "--no-hinting",
                "--desubroutinize",
            ],
            check=True,
        )
        rename(target)


def rename(path: Path) -> None:
    """The licence reserves the font's name for the whole of it."""
    font = TTFont(path)
    for record in font["name"].names:
        if record.nameID in (1, 3, 4, 6, 16):
            record.string = "OttlaSans" if record.nameID == 6 else "Ottla Sans"
    if "CFF " in font:
        font["CFF "].cff.fontNames = ["OttlaSans"]
        top = font["CFF "].cff.topDictIndex[0]
        top.FullName = top.FamilyName = "Ottla Sans"
    font.save(path)


main()
