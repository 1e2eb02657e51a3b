import { DewyError, toDewyError } from "../../errors.ts";
import { governed, Harmless } from "../../http/governed.ts";
import type { Digest } from "../../release/release.ts";
import type { ResumePoint } from "../../release/source.ts";
import type { Call } from "../../util/async.ts";
import { fetchInto } from "../fetch-file.ts";
import { checkKey } from "../key.ts";
import type {
  LocalFile,
  ObjectEntry,
  ObjectStore,
  StoreDeps,
  StoredInfo,
  StoredObject,
  Version,
} from "../store.ts";
import { gcsEndpoint } from "./endpoint.ts";
import { bucketMissing, type GcsTask, isBucketMissing, refusalOf } from "./error.ts";
import { listEntries } from "./list.ts";
import { readMedia } from "./media.ts";
import { patiently } from "./retry.ts";
import { GcsSdk } from "./sdk.ts";
import { readSmall } from "./small-file.ts";
import { chunkBytes, DamagedUpload, uploadFile } from "./upload.ts";
import type { GcsOptions } from "./url.ts";
import { readObject, readPage, storedInfo, type WireObject } from "./wire.ts";

/** A prefix of a bucket of Google Cloud Storage. Versions are generations. Nothing is asked before the first call. */
export function openGcsStore(options: GcsOptions, deps: StoreDeps): ObjectStore {
  return new GcsStore(options, deps);
}

/** An object may be replaced between the look at it and its reading. */
const maxReplacements = 3;

class GcsStore implements ObjectStore {
  readonly url: string;
  readonly #origin: string;
  readonly #root: string;
  readonly #sdk: GcsSdk;
  readonly #authenticated: boolean;
  /** A 404 of a service that does not say what is missing is then the object's. */
  #bucketSeen = false;

  constructor(
    private readonly options: GcsOptions,
    private readonly deps: StoreDeps,
  ) {
    const { bucket, prefix } = options;
    const { origin, authenticated } = gcsEndpoint(options, deps.env);
    this.url = prefix === "" ? `gs://${bucket}` : `gs://${bucket}/${prefix}`;
    this.#origin = origin;
    this.#authenticated = authenticated;
    this.#root = prefix === "" ? "" : `${prefix}/`;
    this.#sdk = new GcsSdk({ origin, bucket, authenticated, clock: deps.clock });
  }

  async head(key: string, c: Call): Promise<StoredInfo | null> {
    const task = this.#task(`look at ${this.#name(key)}`);
    const object = await this.#read(task, () => this.#object(key, task, c), c);
    return object === null ? null : storedInfo(key, object);
  }

  async get(key: string, from: ResumePoint | null, c: Call): Promise<StoredObject | null> {
    const task = this.#task(`read ${this.#name(key)}`);
    return this.#read(task, () => this.#open(key, from, task, c), c);
  }

  async put(
    key: string,
    body: Uint8Array,
    { ifVersion }: { readonly ifVersion?: Version | null },
    c: Call,
  ): Promise<Version | null> {
    const task = this.#task(`write ${this.#name(key)}`);
    c.signal.throwIfAborted();
    // Another service's: it cannot be the version that is stored.
    if (typeof ifVersion === "string" && !/^\d+$/.test(ifVersion)) return null;
    const ifGeneration = ifVersion === undefined ? null : (ifVersion ?? "0");
    const digest: Digest = `sha256:${Bun.SHA256.hash(body, "hex")}`;
    const object = await this.#call(task, () => this.#save(key, { body, digest }, ifGeneration, task, c), c);
    return object?.generation ?? null;
  }

  async putFile(key: string, file: LocalFile, c: Call): Promise<void> {
    const task = this.#task(`write ${this.#name(key)}`);
    c.signal.throwIfAborted();
    const { sizeBytes, body } = await readSmall(file, chunkBytes, task.doing);
    const send = (): Promise<unknown> =>
      body === null
        ? this.#upload(key, file, sizeBytes, task, c)
        : this.#save(key, { body, digest: file.digest }, null, task, c);
    await this.#call(task, send, c);
  }

  fetchFile(key: string, toPath: string, c: Call): Promise<Digest | null> {
    return fetchInto(this, key, toPath, { clock: this.deps.clock }, c);
  }

  list(prefix: string, { delimiter }: { readonly delimiter?: string }, c: Call): AsyncIterable<ObjectEntry> {
    const task = this.#task(`list ${this.url}/${prefix}`);
    const ask = (query: Readonly<Record<string, string>>) => {
      const page = async () => readPage(await this.#sdk.page(query, task, c), task.doing);
      return this.#read(task, page, c);
    };
    return listEntries(ask, { root: this.#root, prefix, delimiter: delimiter ?? null }, c);
  }

  async delete(key: string, c: Call): Promise<void> {
    const task = this.#task(`delete ${this.#name(key)}`);
    const remove = () => this.#sdk.remove(this.#path(key), null, task, c);
    await this.#call(task, () => this.#unlessAbsent(remove, task, c), c);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#sdk.forget();
  }

  /** null: there is none. */
  async #object(key: string, task: GcsTask, c: Call): Promise<WireObject | null> {
    const ask = async () => readObject(await this.#sdk.metadata(this.#path(key), task, c), task.doing);
    return this.#unlessAbsent(ask, task, c);
  }

  /** Reads the very generation that was looked at, so that bytes, version and digest belong together. */
  async #open(key: string, from: ResumePoint | null, task: GcsTask, c: Call): Promise<StoredObject | null> {
    for (let replaced = 0; ; replaced++) {
      const object = await this.#object(key, task, c);
      if (object === null) return null;
      const resumes = from?.validator === object.generation && from.offset <= Number(object.size);
      try {
        const place = { object, offset: resumes ? from.offset : 0, url: this.#mediaUrl(key, object) };
        const body = await readMedia(place, this.#sdk, task, this.deps.clock, c);
        return { ...storedInfo(key, object), ...body };
      } catch (error) {
        if (refusalOf(error)?.status !== 404) throw error;
        if (replaced < maxReplacements) continue;
        throw new DewyError(
          "http-status",
          `${task.doing}: the object is replaced faster than it can be read`,
        );
      }
    }
  }

  /** null: the generation is another one. */
  async #save(
    key: string,
    { body, digest }: { readonly body: Uint8Array; readonly digest: Digest },
    ifGeneration: string | null,
    task: GcsTask,
    c: Call,
  ): Promise<WireObject | null> {
    const md5Hash = new Bun.CryptoHasher("md5").update(body).digest("base64");
    const write = { metadata: { ...resource(digest), md5Hash }, ifGeneration };
    try {
      return readObject(await this.#sdk.save(this.#path(key), body, write, task, c), task.doing);
    } catch (error) {
      if (ifGeneration !== null && refusalOf(error)?.status === 412) return null;
      throw error;
    }
  }

  async #upload(key: string, file: LocalFile, sizeBytes: number, task: GcsTask, c: Call): Promise<void> {
    const { clock } = this.deps;
    const path = this.#path(key);
    const session = await this.#sdk.startUpload(path, resource(file.digest), sizeBytes, task, c);
    try {
      await uploadFile({ session, file, sizeBytes, task, clock }, c);
    } catch (error) {
      if (error instanceof DamagedUpload) await this.#sdk.remove(path, error.object.generation, task, c);
      throw error;
    }
  }

  async #unlessAbsent<T>(work: () => Promise<T>, task: GcsTask, c: Call): Promise<T | null> {
    try {
      return await work();
    } catch (error) {
      const refusal = refusalOf(error);
      if (refusal?.status !== 404 || isBucketMissing(refusal) === true) throw error;
      if (isBucketMissing(refusal) === false || this.#bucketSeen) return null;
      await this.#sdk
        .page({ prefix: this.#root, fields: "nextPageToken" }, task, c)
        .catch((cause: unknown) => {
          // Who may not list learns no more.
          if (refusalOf(cause)?.status === 404) throw bucketMissing(task, refusal);
          if (refusalOf(cause)?.status !== 403) throw cause;
        });
      return null;
    }
  }

  #read<T>(task: GcsTask, work: () => Promise<T>, c: Call): Promise<T> {
    return this.#call(task, () => patiently(work, task.doing, this.deps.clock, c), c);
  }

  async #call<T>(task: GcsTask, work: () => Promise<T>, c: Call): Promise<T> {
    const explained = async () => {
      try {
        const result = await work();
        this.#bucketSeen = true;
        return result;
      } catch (error) {
        c.signal.throwIfAborted();
        const failure = toDewyError(error, task.doing);
        if (failure.code === "unauthorized") this.#sdk.forget();
        // An object's absence is an answer; what is missing here is the bucket.
        const refusal = refusalOf(failure);
        if (refusal?.status === 404) throw bucketMissing(task, refusal);
        throw refusal?.status === 403 ? new Harmless(failure) : failure;
      }
    };
    return governed(this.deps.governor, `${this.#origin}/${this.options.bucket}`, task.doing, explained, c);
  }

  #task(doing: string): GcsTask {
    const { host } = new URL(this.#origin);
    return { doing, host, bucket: this.options.bucket, authenticated: this.#authenticated };
  }

  #path(key: string): string {
    return this.#root + checkKey(key);
  }

  #name(key: string): string {
    return `gs://${this.options.bucket}/${this.#path(key)}`;
  }

  #mediaUrl(key: string, { generation }: WireObject): URL {
    const path = `/storage/v1/b/${this.options.bucket}/o/${encodeURIComponent(this.#path(key))}`;
    return new URL(`${path}?alt=media&generation=${generation}`, this.#origin);
  }
}

/** What an upload says of the object. */
function resource(digest: Digest) {
  return { contentType: "application/octet-stream", metadata: { sha256: digest.replace("sha256:", "") } };
}
