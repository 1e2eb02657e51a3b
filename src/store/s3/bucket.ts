import type { S3Client } from "@aws-sdk/client-s3";
import type { DewyError } from "../../errors.ts";
import { slowError } from "../../http/error.ts";
import { governed, Harmless } from "../../http/governed.ts";
import { Watchdog } from "../../http/watchdog.ts";
import type { Call } from "../../util/async.ts";
import { checkKey } from "../key.ts";
import type { StoreDeps } from "../store.ts";
import { openClient } from "./client.ts";
import { ensureCredentials } from "./credentials.ts";
import { isDenied, notS3, type S3Target, s3Error } from "./error.ts";
import type { S3Options } from "./url.ts";

/** A request's head comes within 30 s or it is tried again, three times in all. */
const deadlineMs = 100_000;

/** One bucket and the operations' common ground: deadlines, the governor, errors. */
export interface Bucket extends Disposable {
  readonly name: string;
  /** `host[:port]` of the service. */
  readonly host: string;
  readonly client: S3Client;
  readonly deps: StoreDeps;
  readonly options: S3Options;
  /** The key in the bucket of one of ours; `internal` when it is none. */
  nameOf(key: string): string;
  /** One operation; `work` throws what the library throws, and handles what it expects itself. */
  run<T>(doing: string, work: Work<T>, c: Call, limitMs?: number): Promise<T>;
  /** What the library threw, for whoever calls it without `run`. */
  explain(error: unknown, doing: string): DewyError;
  /** The failure of an answer that S3 would not give. */
  notS3(doing: string, answered: string): DewyError;
}

type Work<T> = (signal: AbortSignal) => Promise<T>;

export function openBucket(options: S3Options, deps: StoreDeps): Bucket {
  const { bucket: name, region, prefix, url } = options;
  const { client, endpoint } = openClient(options, deps);
  const { host } = new URL(endpoint);
  const target = (doing: string): S3Target => ({ doing: `${doing} in ${url}`, bucket: name, region, host });
  const bucket: Bucket = {
    name,
    host,
    client,
    deps,
    options,
    explain: (error, doing) => s3Error(error, target(doing), deps.clock.now()),
    notS3: (doing, answered) => notS3(target(doing), answered),
    nameOf: (key) => `${prefix === "" ? "" : `${prefix}/`}${checkKey(key)}`,
    async run(doing, work, c, limitMs = deadlineMs) {
      const full = `${doing} in ${url}`;
      const deadline = new Watchdog(deps.clock, limitMs, () => slowError(full, limitMs));
      const call = { signal: AbortSignal.any([c.signal, deadline.signal]) };
      deadline.wait();
      try {
        const once = () => attempt(bucket, doing, work, call);
        return await governed(deps.governor, `${endpoint}/${name}`, full, once, c);
      } finally {
        deadline.stop();
      }
    },
    [Symbol.dispose]: () => client.destroy(),
  };
  return bucket;
}

async function attempt<T>(bucket: Bucket, doing: string, work: Work<T>, c: Call): Promise<T> {
  const { client, deps, options } = bucket;
  try {
    await ensureCredentials(client.config.credentials, `${doing} in ${options.url}`, deps, c);
    return await work(c.signal);
  } catch (error) {
    c.signal.throwIfAborted();
    const failure = bucket.explain(error, doing);
    throw isDenied(error) ? new Harmless(failure) : failure;
  }
}
