import { type FileHandle, open } from "node:fs/promises";
import { DewyError, toDewyError } from "../../errors.ts";
import { readText } from "../../http/body.ts";
import type { Call } from "../../util/async.ts";
import { readWhole } from "../../util/fs.ts";
import { Patience } from "../../util/patience.ts";
import type { Clock } from "../../util/time.ts";
import type { LocalFile } from "../store.ts";
import { type GcsTask, refusalOf } from "./error.ts";
import { type GcsReply, send } from "./transport.ts";
import { readObject, type WireObject } from "./wire.ts";

/** A multiple of 256 KiB, as the service wants it. */
export const chunkBytes = 8 * 1024 * 1024;
const maxJsonBytes = 1024 * 1024;
const farewellMs = 5000;
const incomplete = 308;

interface Upload {
  /** The session's address: whoever knows it may write the object. */
  readonly session: URL;
  readonly file: LocalFile;
  readonly sizeBytes: number;
  readonly task: GcsTask;
  readonly clock: Clock;
}

/**
 * Sends a file, which must not be empty, through a resumable session, chunk by chunk from one buffer; after a cut it
 * asks how far the service got. https://cloud.google.com/storage/docs/performing-resumable-uploads. The object
 * appears with its last byte. `filesystem` when the file is no longer what its digest says; then, and when anything
 * else fails, the session is cancelled and there is no object.
 */
export async function uploadFile(upload: Upload, c: Call): Promise<WireObject> {
  try {
    await using file = await open(upload.file.path, "r");
    return await sendAll(new Content(file, upload), upload, c);
  } catch (error) {
    await cancel(upload);
    c.signal.throwIfAborted();
    throw toDewyError(error, upload.task.doing);
  }
}

async function sendAll(content: Content, upload: Upload, c: Call): Promise<WireObject> {
  const { doing } = upload.task;
  const patience = new Patience({ clock: upload.clock });
  let offset = 0;
  let furthest = 0;
  for (let asks = false; ; ) {
    try {
      const reply = await put(upload, asks ? null : await content.from(offset), c);
      if (reply.status !== incomplete) return await finished(reply, content, upload);
      await reply.body.discard();
      offset = receivedBytes(reply.headers);
      if (offset > furthest) patience.renew();
      // A service that keeps nothing of what it is sent must not keep us for ever.
      else if (!asks) throw new DewyError("http-status", `${doing}: the service takes no more`);
      furthest = Math.max(furthest, offset);
      asks = false;
    } catch (error) {
      c.signal.throwIfAborted();
      await patience.after(explained(error, doing), c);
      asks = true;
    }
  }
}

/** A session ends after a week, or when the service forgets it: then the upload has to begin anew. */
function explained(error: unknown, doing: string): DewyError {
  const status = refusalOf(error)?.status;
  if (status !== 404 && status !== 410) return toDewyError(error, doing);
  return new DewyError("bad-answer", `${doing}: the service forgot the upload (${status})`);
}

interface Chunk {
  readonly offset: number;
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Base64; null unless it is the last one. */
  readonly md5: string | null;
}

/** null asks how much has arrived. */
function put({ session, sizeBytes, task, clock }: Upload, chunk: Chunk | null, c: Call): Promise<GcsReply> {
  const headers = new Headers();
  if (chunk === null) headers.set("Content-Range", `bytes */${sizeBytes}`);
  else {
    const end = chunk.offset + chunk.bytes.length - 1;
    headers.set("Content-Range", `bytes ${chunk.offset}-${end}/${sizeBytes}`);
    // The service refuses content that is not what was sent.
    if (chunk.md5 !== null) headers.set("X-Goog-Hash", `md5=${chunk.md5}`);
  }
  const body = chunk?.bytes ?? new Uint8Array(0);
  return send({ url: session, method: "PUT", headers, body, accept: [incomplete] }, task, clock, c);
}

/** `Range: bytes=0-8388607`; no header means nothing. */
function receivedBytes(headers: Headers): number {
  const last = /^bytes=0-(\d+)$/.exec(headers.get("range") ?? "")?.[1];
  return last === undefined ? 0 : Number(last) + 1;
}

async function finished(reply: GcsReply, content: Content, { task, sizeBytes }: Upload): Promise<WireObject> {
  const text = await readText(reply.body, maxJsonBytes, task.doing);
  const object = readObject(jsonOf(text), task.doing);
  const whole = Number(object.size) === sizeBytes && content.md5 !== null;
  if (whole && (object.md5Hash ?? content.md5) === content.md5) return object;
  throw new DamagedUpload(object, task.doing);
}

/** The service has an object, and it is not the file. */
export class DamagedUpload extends DewyError {
  constructor(
    readonly object: WireObject,
    doing: string,
  ) {
    super("bad-answer", `${doing}: the service stored something else than it was sent`);
  }
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null; // Of another shape than an object, which is said then.
  }
}

/** The session and what it holds would be kept for a week. */
async function cancel({ session, task, clock }: Upload): Promise<void> {
  const c = { signal: AbortSignal.timeout(farewellMs) };
  const request = { url: session, method: "DELETE", headers: new Headers(), accept: [499] };
  const gone = send(request, task, clock, c).then(({ body }) => body.discard());
  // What made it necessary is what is reported; the service forgets the session by itself.
  await gone.catch(() => undefined);
}

/** The file's bytes, by chunks of one buffer, with running digests of what was read first. */
class Content {
  readonly #buffer: Uint8Array<ArrayBuffer>;
  readonly #sha256 = new Bun.CryptoHasher("sha256");
  readonly #md5 = new Bun.CryptoHasher("md5");
  #hashedBytes = 0;
  /** Base64; null until all was read. */
  md5: string | null = null;

  constructor(
    private readonly file: FileHandle,
    private readonly upload: Upload,
  ) {
    this.#buffer = new Uint8Array(Math.min(chunkBytes, upload.sizeBytes));
  }

  async from(offset: number): Promise<Chunk> {
    const { sizeBytes } = this.upload;
    const wanted = Math.min(this.#buffer.length, sizeBytes - offset);
    if (wanted <= 0)
      throw new DewyError("bad-answer", `${this.upload.task.doing}: more arrived than was sent`);
    const bytes = this.#buffer.subarray(0, wanted);
    if (!(await readWhole(this.file, bytes, offset))) throw this.#changed();
    this.#hash(offset, bytes);
    return { offset, bytes, md5: offset + wanted === sizeBytes ? this.md5 : null };
  }

  #hash(offset: number, bytes: Uint8Array): void {
    const fresh = bytes.subarray(Math.max(0, this.#hashedBytes - offset));
    this.#sha256.update(fresh);
    this.#md5.update(fresh);
    this.#hashedBytes += fresh.length;
    if (this.#hashedBytes < this.upload.sizeBytes || this.md5 !== null) return;
    this.md5 = this.#md5.digest("base64");
    if (`sha256:${this.#sha256.digest("hex")}` !== this.upload.file.digest) throw this.#changed();
  }

  #changed(): DewyError {
    const { file, task } = this.upload;
    return new DewyError("filesystem", `${task.doing}: ${file.path} is not the file it was`, {
      retryable: false,
    });
  }
}
