//! What tests and the page need beyond a Rust toolchain: each is found, or installed once and kept.
//!
//! Programs of Cargo's go to its home (shared by all checkouts), everything else to `.tools`, which git ignores.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::repository::root;
use crate::shell::{Failure, Outcome, command, quiet, run};

/// A registry may be slow, and a compiler on two cores is.
const INSTALL_MAX: Duration = Duration::from_secs(30 * 60);

const TRUNK: &str = "0.21.14";
const WASM_PACK: &str = "0.15.1";
const NPM_PACKAGES: [&str; 3] = ["kafkajs@2.2.4", "playwright-core@1.65.1", "binaryen@132.0.0"];
const PYTHON_PACKAGES: [&str; 5] = [
    "kafka-python==3.0.12",
    "confluent-kafka==2.16.1",
    "lz4==4.4.5",
    "python-snappy==0.7.3",
    "zstandard==0.25.0",
];

pub fn folder() -> PathBuf {
    root().join(".tools")
}

/// Removes what was installed for this checkout.
pub fn clean() -> Outcome {
    for folder in [folder(), root().join("dist")] {
        if folder.exists() {
            println!("removing {}", folder.display());
            fs::remove_dir_all(folder)?;
        }
    }
    println!("programs in {} stay: other checkouts use them", programs().display());
    Ok(())
}

/// Debian packages, by a program that each brings.
pub fn debian(needed: &[(&str, &str)]) -> Outcome {
    let missing: Vec<_> = needed.iter().filter(|(program, _)| on_path(program).is_none()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let packages: Vec<&str> = missing.iter().map(|(_, package)| *package).collect();
    let install = format!("apt-get install -y --no-install-recommends {}", packages.join(" "));
    let root_user = quiet(command(["id", "-u"])).is_ok_and(|id| id.trim() == "0");
    if !root_user || on_path("apt-get").is_none() {
        return Err(Failure::new(format!("missing: {}", packages.join(", ")))
            .advise(format!("install them, on Debian with `sudo {install}`")));
    }
    let noninteractive = |line: &str| {
        let mut apt = command(line.split(' '));
        apt.env("DEBIAN_FRONTEND", "noninteractive");
        apt
    };
    run(noninteractive("apt-get update -qq"), INSTALL_MAX)?;
    run(noninteractive(&install), INSTALL_MAX)
}

/// The compiler's WebAssembly target.
pub fn wasm_target() -> Outcome {
    let installed = quiet(command("rustup target list --installed".split(' '))).unwrap_or_default();
    if installed.lines().any(|target| target == "wasm32-unknown-unknown") {
        return Ok(());
    }
    run(command("rustup target add wasm32-unknown-unknown".split(' ')), INSTALL_MAX)
        .map_err(|failure| failure.advise("install the target wasm32-unknown-unknown of your compiler"))
}

/// Trunk, the wasm-bindgen that the lock file names, and wasm-opt: what builds the page.
pub fn page() -> Outcome {
    wasm_target()?;
    cargo_program("trunk", "trunk", TRUNK)?;
    wasm_bindgen()?;
    npm()
}

/// Chromium, its driver, and wasm-pack: what visits the page and runs tests in a browser.
pub fn browser() -> Outcome {
    debian(&[("chromium", "chromium"), ("chromedriver", "chromium-driver")])?;
    cargo_program("wasm-pack", "wasm-pack", WASM_PACK)?;
    page()
}

fn wasm_bindgen() -> Outcome {
    let lock = fs::read_to_string(root().join("Cargo.lock"))?;
    let version = locked(&lock, "wasm-bindgen")
        .ok_or_else(|| Failure::new("Cargo.lock names no wasm-bindgen"))?
        .to_owned();
    cargo_program("wasm-bindgen", "wasm-bindgen-cli", &version)
}

/// The version of a package in a lock file.
fn locked<'a>(lock: &'a str, name: &str) -> Option<&'a str> {
    let package =
        lock.split("[[package]]").find(|package| package.contains(&format!("name = \"{name}\"\n")))?;
    package.split("version = \"").nth(1)?.split('"').next()
}

/// Finds a program in this very version, or compiles it into a folder of its own.
fn cargo_program(program: &str, package: &str, version: &str) -> Outcome {
    let has_version = |path: &Path| {
        let said = quiet(command([path.as_os_str(), "--version".as_ref()])).unwrap_or_default();
        said.split_whitespace().any(|word| word == version)
    };
    if on_path(program).is_some_and(|path| has_version(&path)) {
        return Ok(());
    }
    let minutes = "compiling it takes two to four minutes, once";
    println!("{program} {version} is not here: {minutes}");
    // Unoptimised: it compiles for minutes and runs for seconds.
    let mut install = command(["cargo", "install", package, "--version", version, "--debug"]);
    if program != "wasm-bindgen" {
        install.arg("--locked");
    }
    install.arg("--root").arg(programs()).arg("--force");
    install.env("CARGO_PROFILE_DEV_DEBUG", "0").env_remove("CARGO_TARGET_DIR");
    run(install, INSTALL_MAX)
        .map_err(|failure| failure.advise(format!("run `cargo install {package} --version {version}`")))
}

/// Where programs that Cargo installs for us are.
fn programs() -> PathBuf {
    let home = env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".cargo")));
    home.unwrap_or_else(folder).join("ottla-tools")
}

/// Puts what was installed before what the machine has.
pub fn path() -> String {
    let ours = [programs().join("bin"), folder().join("node/node_modules/.bin")];
    let ours = ours.map(|folder| folder.display().to_string()).join(":");
    format!("{ours}:{}", env::var("PATH").unwrap_or_default())
}

fn on_path(program: &str) -> Option<PathBuf> {
    path().split(':').map(|folder| Path::new(folder).join(program)).find(|path| path.is_file())
}

/// A JDK and Maven.
pub fn java() -> Outcome {
    debian(&[("javac", "default-jdk-headless"), ("mvn", "maven")])
}

/// Apache Kafka's jars: the server, its tools and its clients.
pub fn kafka() -> Outcome {
    const POM: &str = "tests/peers/pom.xml";
    java()?;
    installed("kafka-4.3.1", &fs::read_to_string(root().join(POM))?, |place| {
        let mut maven = command(["mvn", "-q", "-B", "-f", POM, "dependency:copy-dependencies"]);
        maven.arg(format!("-DoutputDirectory={}", place.display()));
        run(maven, INSTALL_MAX)
    })
}

/// kafka-python and confluent-kafka in an environment of their own.
pub fn python() -> Outcome {
    debian(&[("python3", "python3")])?;
    installed("python", &PYTHON_PACKAGES.join("\n"), |place| {
        let mut environment = command(["python3", "-m", "venv"]);
        environment.arg(place);
        run(environment, INSTALL_MAX)
            .map_err(|failure| failure.advise("install Python's venv (`apt-get install python3-venv`)"))?;
        let pip = place.join("bin/python");
        let mut install = Command::new(pip);
        install
            .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"])
            .args(PYTHON_PACKAGES);
        run(install, INSTALL_MAX)
    })
}

/// kafkajs, Playwright's core and Binaryen.
pub fn npm() -> Outcome {
    debian(&[("node", "nodejs"), ("npm", "npm")])?;
    installed("node", &NPM_PACKAGES.join("\n"), |place| {
        let mut npm = command(["npm", "install", "--no-audit", "--no-fund", "--loglevel=error", "--prefix"]);
        npm.arg(place).args(NPM_PACKAGES);
        run(npm, INSTALL_MAX)
    })
}

/// Runs `install` for a folder below `.tools`, unless what is `wanted` is there; half an installation counts as none.
fn installed(name: &str, wanted: &str, install: impl FnOnce(&Path) -> Outcome) -> Outcome {
    let place = folder().join(name);
    let done = place.join(".installed");
    if fs::read_to_string(&done).is_ok_and(|there| there == wanted) {
        return Ok(());
    }
    if place.exists() {
        fs::remove_dir_all(&place)?;
    }
    fs::create_dir_all(&place)?;
    install(&place)?;
    fs::write(done, wanted)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::locked;

    #[test]
    fn the_lock_file_names_a_version() {
        let lock = "[[package]]\nname = \"wasm-bindgen-backend\"\nversion = \"1.0.0\"\n\n\
                    [[package]]\nname = \"wasm-bindgen\"\nversion = \"0.2.100\"\n";
        assert_eq!(locked(lock, "wasm-bindgen"), Some("0.2.100"));
        assert_eq!(locked(lock, "trunk"), None);
    }
}
