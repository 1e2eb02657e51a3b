import type { Storage } from "@google-cloud/storage";
import { userAgent } from "./transport.ts";

/** A login that takes longer is a metadata server or a proxy that never answers. */
export const loginMs = 20_000;

/** Google's library as dewy wants it: without retries, without STORAGE_EMULATOR_HOST, for `origin`. It takes 20 MB. */
export async function loadStorage(origin: string): Promise<Storage> {
  const { IdempotencyStrategy, Storage } = await import("@google-cloud/storage");
  const emulator = process.env["STORAGE_EMULATOR_HOST"];
  // The constructor would take it for the base of every path, and more seriously than `apiEndpoint`.
  delete process.env["STORAGE_EMULATOR_HOST"];
  try {
    return new Storage({
      apiEndpoint: origin,
      userAgent,
      // Of no use here; without it the library runs `gcloud` and asks the metadata server to find one.
      projectId: "-",
      retryOptions: { autoRetry: false, idempotencyStrategy: IdempotencyStrategy.RetryNever },
      clientOptions: { transporterOptions: { fetchImplementation: loginFetch } },
    });
  } finally {
    if (emulator !== undefined) process.env["STORAGE_EMULATOR_HOST"] = emulator;
  }
}

/** Without the library's agent: Bun's fetch knows by itself which hosts go through a proxy. */
function loginFetch(input: string | URL | Request, init: RequestInit = {}): Promise<Response> {
  const { method, headers, body, signal } = init;
  const limit = AbortSignal.timeout(loginMs);
  return fetch(input, {
    ...(method === undefined ? {} : { method }),
    ...(headers === undefined ? {} : { headers }),
    ...(body === undefined ? {} : { body }),
    redirect: "error",
    signal: signal instanceof AbortSignal ? AbortSignal.any([signal, limit]) : limit,
  });
}
