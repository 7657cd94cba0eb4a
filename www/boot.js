// Starts the page's program; everything else is in it.
import init from "./page.js";

init({ module_or_path: new URL("page_bg.wasm", import.meta.url) }).catch((error) => {
  const place = document.getElementById("page");
  place.innerHTML = "";
  const text = document.createElement("p");
  text.className = "before";
  text.textContent = `페이지를 켜지 못했습니다. The page did not start. ${error}`;
  place.append(text);
});
