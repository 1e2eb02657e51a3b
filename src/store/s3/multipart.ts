import {
  AbortMultipartUploadCommand,
  type CompletedPart,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  UploadPartCommand,
} from "@aws-sdk/client-s3";
import { DewyError, messageOf } from "../../errors.ts";
import type { Call } from "../../util/async.ts";
import { persist } from "../../util/patience.ts";
import { refusalOf } from "./answer.ts";
import type { Bucket } from "./bucket.ts";
import { ownWrite } from "./own-write.ts";
import { versionOf } from "./write.ts";

const deadlineMs = 100_000;
const leastBytesPerMs = 32;
/** The service puts the parts together meanwhile. */
const completeMs = 10 * 60_000;
/** Also when everything else was told to stop. */
const abortMs = 15_000;

/** An object that is seen once all its parts are there. Disposed before that, its parts are taken back. */
export class MultipartUpload implements AsyncDisposable {
  readonly #parts: CompletedPart[] = [];
  #completed = false;

  private constructor(
    private readonly bucket: Bucket,
    private readonly key: string,
    private readonly target: { readonly Bucket: string; readonly Key: string; readonly UploadId: string },
    private readonly writeId: string,
  ) {}

  static async create(
    bucket: Bucket,
    key: string,
    metadata: Readonly<Record<string, string>>,
    c: Call,
  ): Promise<MultipartUpload> {
    const doing = `put ${key}`;
    const writeId = crypto.randomUUID();
    const place = { Bucket: bucket.name, Key: bucket.nameOf(key) };
    const command = new CreateMultipartUploadCommand({
      ...place,
      Metadata: { ...metadata, "write-id": writeId },
    });
    const { UploadId } = await bucket.run(
      doing,
      (abortSignal) => bucket.client.send(command, { abortSignal }),
      c,
    );
    if (UploadId === undefined) {
      throw bucket.notS3(doing, "without an upload id");
    }
    return new MultipartUpload(bucket, key, { ...place, UploadId }, writeId);
  }

  /** The next part. Its bytes may be reused afterwards. Cuts and outages are waited out. */
  async put(body: Uint8Array, c: Call): Promise<void> {
    const PartNumber = this.#parts.length + 1;
    const doing = `put part ${PartNumber} of ${this.key}`;
    const limitMs = deadlineMs + (3 * body.length) / leastBytesPerMs;
    const send = (abortSignal: AbortSignal) =>
      this.bucket.client.send(new UploadPartCommand({ ...this.target, PartNumber, Body: body }), {
        abortSignal,
      });
    const { ETag } = await this.#persist(doing, send, limitMs, c);
    this.#parts.push({ PartNumber, ETag: versionOf(this.bucket, ETag, doing) });
  }

  /** Makes the object visible. */
  async complete(c: Call): Promise<void> {
    const command = new CompleteMultipartUploadCommand({
      ...this.target,
      MultipartUpload: { Parts: this.#parts },
    });
    const send = (abortSignal: AbortSignal) =>
      this.bucket.client.send(command, { abortSignal }).then(
        () => "done" as const,
        (error: unknown) => {
          if (refusalOf(error)?.code === "NoSuchUpload") return "gone" as const;
          throw error;
        },
      );
    const doing = `put ${this.key}`;
    const outcome = await this.#persist(doing, send, completeMs, c);
    // It was completed already, and the answer got lost; or somebody took it away.
    if (outcome === "gone" && (await ownWrite(this.bucket, this.key, this.writeId, c)) === null) {
      throw new DewyError("bad-answer", `${doing}: the service has lost the upload`);
    }
    this.#completed = true;
  }

  #persist<T>(
    doing: string,
    send: (signal: AbortSignal) => Promise<T>,
    limitMs: number,
    c: Call,
  ): Promise<T> {
    return persist(() => this.bucket.run(doing, send, c, limitMs), doing, this.bucket.deps, c);
  }

  /** Parts that nobody takes back are paid for until the bucket's lifecycle rules remove them. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#completed) return;
    const { client, deps, options } = this.bucket;
    try {
      const abortSignal = AbortSignal.timeout(abortMs);
      await client.send(new AbortMultipartUploadCommand(this.target), { abortSignal });
    } catch (error) {
      if (refusalOf(error)?.code === "NoSuchUpload") return;
      const reason = messageOf(this.bucket.explain(error, "abort"));
      deps.log.warn("Parts of an unfinished upload are left in the bucket", {
        url: options.url,
        key: this.key,
        error: reason,
      });
    }
  }
}
