import { HttpHost, type Reply, type SeenRequest } from "./http-host.ts";
import type { Minio } from "./minio.ts";

/** undefined: the request goes on to MinIO. */
export type Interference = (
  request: SeenRequest,
  forward: () => Promise<Reply>,
) => Reply | undefined | Promise<Reply | undefined>;

export interface S3Front extends AsyncDisposable {
  /** `http://127.0.0.1:<port>` */
  readonly endpoint: string;
  readonly host: HttpHost;
}

/** Stands before MinIO and may answer in its place, before or after MinIO did what it was asked. */
export async function startS3Front(
  minio: Minio,
  interfere: Interference = () => undefined,
): Promise<S3Front> {
  const host = await HttpHost.start(async (request) => {
    // While MinIO is down, its front is what such fronts are then.
    const forward = () => forwardTo(minio, request).catch((): Reply => ({ status: 502, body: "" }));
    return (await interfere(request, forward)) ?? forward();
  });
  return { endpoint: host.origin, host, [Symbol.asyncDispose]: () => host[Symbol.asyncDispose]() };
}

async function forwardTo(minio: Minio, { method, path, headers, body }: SeenRequest): Promise<Reply> {
  // The Host header stays as it came, since it is signed.
  const answer = await fetch(`${minio.endpoint}${path}`, {
    method,
    headers,
    ...(body.length === 0 ? {} : { body: Buffer.from(body) }),
    redirect: "manual",
    decompress: false,
  });
  const kept = [...answer.headers].filter(([name]) => !/^(connection|transfer-encoding)$/.test(name));
  const content = new Uint8Array(await answer.arrayBuffer());
  if (method === "HEAD") return { status: answer.status, headers: Object.fromEntries(kept) };
  return {
    status: answer.status,
    headers: Object.fromEntries(kept.filter(([name]) => name !== "content-length")),
    body: content,
  };
}
