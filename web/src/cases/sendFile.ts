// One file to the server by tus 1.0. What was begun is remembered by the browser until it is whole.

import { Problem, problemOf, unreachable } from "../api/problem";

const RETRY_MS = [0, 1_000, 3_000, 5_000, 10_000, 20_000];
const CHUNK_BYTES = 16 * 1024 * 1024;

/** The id of the upload, once all of the file is on the server's disk. Throws: Problem. */
export async function sendFile(file: File, caseId: string, tell: (percent: number) => void, signal: AbortSignal): Promise<string> {
  const { DetailedError, Upload } = await import("tus-js-client");
  return new Promise((resolve, reject) => {
    const upload = new Upload(file, {
      endpoint: "/api/v1/uploads",
      chunkSize: CHUNK_BYTES,
      retryDelays: RETRY_MS,
      removeFingerprintOnSuccess: true,
      fingerprint: (chosen: File) => Promise.resolve(["tus", caseId, chosen.name, chosen.size, chosen.lastModified].join("/")),
      metadata: { filename: file.name, filetype: file.type, case: caseId, captured_at: new Date(file.lastModified).toISOString() },
      onProgress: (sent, all) => tell(all > 0 ? Math.floor((100 * sent) / all) : 0),
      onSuccess: () => resolve(idOf(upload.url)),
      onError: (error) => void asProblem(error instanceof DetailedError ? error.originalResponse : null).then(reject),
    });
    signal.addEventListener("abort", () => {
      void upload.abort();
      reject(unreachable());
    });
    upload.findPreviousUploads().then(
      ([previous]) => {
        if (previous !== undefined) upload.resumeFromPreviousUpload(previous);
        upload.start();
      },
      () => upload.start(), // a browser that remembers nothing sends it anew
    );
  });
}

const idOf = (url: string | null): string => url?.split("/").at(-1) ?? "";

async function asProblem(response: { getStatus(): number; getBody(): string } | null | undefined): Promise<Problem> {
  const status = response?.getStatus() ?? 0;
  return status < 200 ? unreachable() : problemOf(new Response(response?.getBody() ?? "", { status }));
}
