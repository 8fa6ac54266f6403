// A file sent with tus-js-client, stopped after the first chunk, and resumed by its URL: node tus_upload.mjs ENDPOINT FILE JSON
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const { Upload } = createRequire(new URL("../../web/package.json", import.meta.url))("tus-js-client");
const [endpoint, path, about] = process.argv.slice(2);
const file = readFileSync(path);
const options = {
  endpoint,
  chunkSize: 1 << 20,
  metadata: JSON.parse(about),
  headers: { Authorization: `Bearer ${process.env.ONRECORD_TOKEN}` },
  retryDelays: null,
};

const stopped = await new Promise((resolve, reject) => {
  const upload = new Upload(file, {
    ...options,
    onError: reject,
    onChunkComplete: (_size, accepted) => upload.abort().then(() => resolve({ url: upload.url, at: accepted }), reject),
    onSuccess: () => reject(new Error("it did not break off")),
  });
  upload.start();
});
const asked = await fetch(stopped.url, { method: "HEAD", headers: { ...options.headers, "Tus-Resumable": "1.0.0" } });
const resumedAt = Number(asked.headers.get("upload-offset"));
await new Promise((resolve, reject) => {
  new Upload(file, { ...options, uploadUrl: stopped.url, onError: reject, onSuccess: resolve }).start();
});
const url = new URL(stopped.url).pathname;
console.log(JSON.stringify({ url, stopped_at: stopped.at, resumed_at: resumedAt }));
