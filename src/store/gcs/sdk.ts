import type { File, Storage } from "@google-cloud/storage";
import { DewyError } from "../../errors.ts";
import { readText } from "../../http/body.ts";
import { slowError } from "../../http/error.ts";
import { Watchdog } from "../../http/watchdog.ts";
import { abortable, type Call } from "../../util/async.ts";
import type { Clock } from "../../util/time.ts";
import { authError } from "./auth-error.ts";
import type { GcsTask } from "./error.ts";
import { loadStorage, loginMs } from "./library.ts";
import { multipart, type Part } from "./multipart.ts";
import { type GcsRequest, leastBytesPerMs, send } from "./transport.ts";

interface SdkOptions {
  readonly origin: string;
  readonly bucket: string;
  readonly authenticated: boolean;
  readonly clock: Clock;
}

/** What the library hands its transport; the parts that its calls made here use. */
interface SdkRequest {
  readonly method?: string;
  readonly uri: string;
  readonly qs?: Readonly<Record<string, unknown>>;
  readonly headers?: Readonly<Record<string, string>> | Headers;
  readonly multipart?: readonly Part[];
}

type Answer = (error: unknown, body?: unknown) => void;

/** For a whole answer, however slowly it comes. */
const jsonMs = 120_000;
const maxJsonBytes = 32 * 1024 * 1024;

/**
 * Google's library: logins (ADC), and the requests for objects, lists and small uploads. They are carried by `send`,
 * as the library's own transport knows no AbortSignal, no deadline over the whole answer, and rules of its own for
 * proxies; its retries are off, as it would repeat writes. Loaded at the first call: it takes 20 MB.
 */
export class GcsSdk {
  #storage: Promise<Storage> | null = null;

  constructor(private readonly options: SdkOptions) {}

  /** The object's resource. */
  async metadata(key: string, task: GcsTask, c: Call): Promise<unknown> {
    const file = await this.#file(key, task, c);
    return (await abortable(file.getMetadata(), c.signal))[0];
  }

  /** One page of a list. `query`: https://cloud.google.com/storage/docs/json_api/v1/objects/list */
  async page(query: Readonly<Record<string, string>>, task: GcsTask, c: Call): Promise<unknown> {
    const bucket = (await this.#scoped(task, c)).bucket(this.options.bucket);
    const [, , page] = await abortable(
      bucket.getFiles({ ...query, autoPaginate: false, maxResults: 1000 }),
      c.signal,
    );
    return page;
  }

  /** Writes a small object in one request; its resource. `ifGeneration` "0": only if there is none. */
  async save(
    key: string,
    body: Uint8Array,
    write: { readonly metadata: object; readonly ifGeneration: string | null },
    task: GcsTask,
    c: Call,
  ): Promise<unknown> {
    const file = await this.#file(key, task, c);
    const { ifGeneration } = write;
    await abortable(
      file.save(Buffer.from(body.buffer, body.byteOffset, body.byteLength), {
        resumable: false,
        // The service checks the MD5 in the metadata; the library's CRC32C is slow.
        validation: false,
        metadata: { ...write.metadata },
        ...(ifGeneration === null ? {} : { preconditionOpts: { ifGenerationMatch: ifGeneration } }),
      }),
      c.signal,
    );
    return file.metadata;
  }

  /** With `generation`, only that one. */
  async remove(key: string, generation: string | null, task: GcsTask, c: Call): Promise<void> {
    const file = await this.#file(key, task, c);
    const condition = generation === null ? {} : { ifGenerationMatch: generation };
    await abortable(file.delete(condition), c.signal);
  }

  /**
   * Begins an upload in chunks and answers its session's address, which is a secret. By hand: the library's does it
   * over another transport of its own.
   */
  async startUpload(key: string, metadata: object, sizeBytes: number, task: GcsTask, c: Call): Promise<URL> {
    const { origin, bucket, clock } = this.options;
    const url = new URL(`/upload/storage/v1/b/${bucket}/o`, origin);
    url.search = new URLSearchParams({ uploadType: "resumable", name: key }).toString();
    const headers = new Headers({
      "Content-Type": "application/json",
      "X-Upload-Content-Type": "application/octet-stream",
      "X-Upload-Content-Length": `${sizeBytes}`,
    });
    await this.authorize(url, headers, task, c);
    const body = Buffer.from(JSON.stringify(metadata));
    const reply = await send({ url, method: "POST", headers, body }, task, clock, c);
    await reply.body.discard();
    const location = URL.parse(reply.headers.get("location") ?? "", origin);
    if (location === null) throw new DewyError("bad-answer", `${task.doing}: ${task.host} opened no upload`);
    // Behind a proxy or an emulator's other name it is still the host that was named.
    return new URL(`${location.pathname}${location.search}`, origin);
  }

  /** Adds the credentials to the headers of a request to the service. */
  async authorize(url: URL, headers: Headers, task: GcsTask, c: Call): Promise<void> {
    if (!this.options.authenticated) return;
    const storage = await this.#load();
    const { clock } = this.options;
    const login = new Watchdog(clock, loginMs, () => slowError(`${task.doing}: Google's login`, loginMs));
    login.wait();
    try {
      const signal = AbortSignal.any([c.signal, login.signal]);
      const granted = await abortable(storage.authClient.getRequestHeaders(url.href), signal);
      for (const [name, value] of granted) headers.set(name, value);
    } catch (error) {
      c.signal.throwIfAborted();
      // The library would wait on for a login that hangs.
      this.forget();
      throw authError(error, task.doing, clock.now());
    } finally {
      login.stop();
    }
  }

  /** Looks for credentials anew at the next call: the key file may be another one by then. */
  forget(): void {
    this.#storage = null;
  }

  async #file(key: string, task: GcsTask, c: Call): Promise<File> {
    return (await this.#scoped(task, c)).bucket(this.options.bucket).file(key);
  }

  /** A client whose requests belong to one task. */
  async #scoped(task: GcsTask, c: Call): Promise<Storage> {
    const storage = await this.#load();
    const carry = (request: SdkRequest, answer: Answer) => {
      this.#carry(request, task, c).then((body) => answer(null, body), answer);
    };
    // Made from a Storage, it is one.
    const scoped: Storage = Object.create(storage);
    return Object.assign(scoped, { makeAuthenticatedRequest: carry });
  }

  async #carry(request: SdkRequest, task: GcsTask, c: Call): Promise<unknown> {
    const url = new URL(request.uri);
    for (const [name, value] of Object.entries(request.qs ?? {})) {
      // Those are the library's own.
      if (value !== undefined && name !== "autoPaginate") url.searchParams.set(name, String(value));
    }
    const headers = new Headers(request.headers);
    headers.set("Accept", "application/json");
    const body = request.multipart === undefined ? undefined : await multipart(request.multipart, headers);
    return this.#json({ url, method: request.method ?? "GET", headers, body }, task, c);
  }

  /** One request with credentials, and its JSON; null for an empty answer. */
  async #json(request: GcsRequest, task: GcsTask, c: Call): Promise<unknown> {
    await this.authorize(request.url, request.headers, task, c);
    const { clock } = this.options;
    const limitMs = jsonMs + Math.ceil((request.body?.byteLength ?? 0) / leastBytesPerMs);
    const deadline = new Watchdog(clock, limitMs, () => slowError(task.doing, limitMs));
    deadline.wait();
    try {
      const signal = AbortSignal.any([c.signal, deadline.signal]);
      const reply = await send(request, task, clock, { signal });
      const text = await readText(reply.body, maxJsonBytes, task.doing);
      return text === "" ? null : parsed(text, reply.headers, task);
    } finally {
      deadline.stop();
    }
  }

  #load(): Promise<Storage> {
    this.#storage ??= loadStorage(this.options.origin);
    return this.#storage;
  }
}

function parsed(text: string, headers: Headers, task: GcsTask): unknown {
  try {
    return JSON.parse(text);
  } catch {
    const type = headers.get("content-type") ?? "no content type";
    throw new DewyError(
      "bad-answer",
      `${task.doing}: ${task.host} answered something that is not JSON (${type})`,
      {
        hint: "something between this host and Google Cloud Storage answered: check the proxy and endpoint=",
      },
    );
  }
}
