// Loads the engine in its worker and tells the page how far it is: [bytes received, bytes in all or 0].
import init from "./engine.js";

async function load() {
  const response = await fetch(new URL("engine_bg.wasm", import.meta.url));
  if (!response.ok) throw new Error(`engine_bg.wasm: ${response.status}`);
  // The length counts what travels; it is the total only where nothing was compressed on the way.
  const total = response.headers.get("content-encoding") ? 0 : Number(response.headers.get("content-length") ?? 0);
  let received = 0;
  const counted = new TransformStream({
    transform(chunk, controller) {
      received += chunk.byteLength;
      postMessage([received, total]);
      controller.enqueue(chunk);
    },
  });
  const headers = { "content-type": "application/wasm" };
  await init({ module_or_path: new Response(response.body.pipeThrough(counted), { headers }) });
}

load().catch((error) => postMessage(String(error)));
