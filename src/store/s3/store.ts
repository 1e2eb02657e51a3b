import { fetchInto } from "../fetch-file.ts";
import type { ObjectStore, StoreDeps } from "../store.ts";
import { openBucket } from "./bucket.ts";
import { listObjects } from "./list.ts";
import { getObject, headObject } from "./read.ts";
import { uploadFile } from "./upload.ts";
import type { S3Options } from "./url.ts";
import { deleteObject, putObject } from "./write.ts";

/**
 * A bucket of S3 or of a service that speaks its language, or a prefix of one. Versions are ETags. Credentials: the
 * AWS chain (environment, profile, web identity, task or instance role). Loads the AWS library: import it lazily.
 */
export function openS3Store(options: S3Options, deps: StoreDeps): ObjectStore {
  const bucket = openBucket(options, deps);
  const store: ObjectStore = {
    url: options.url,
    head: (key, c) => headObject(bucket, key, c),
    get: (key, from, c) => getObject(bucket, key, from, c),
    put: (key, body, condition, c) => putObject(bucket, key, body, condition, c),
    putFile: (key, file, c) => uploadFile(bucket, key, file, c),
    fetchFile: (key, toPath, c) => fetchInto(store, key, toPath, deps, c),
    list: (prefix, { delimiter }, c) => listObjects(bucket, prefix, delimiter, c),
    delete: (key, c) => deleteObject(bucket, key, c),
    [Symbol.asyncDispose]: async () => bucket[Symbol.dispose](),
  };
  return store;
}
