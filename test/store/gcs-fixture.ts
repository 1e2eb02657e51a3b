import { Governor } from "../../src/http/governor.ts";
import { silentLog } from "../../src/log.ts";
import { openGcsStore } from "../../src/store/gcs/store.ts";
import type { GcsOptions } from "../../src/store/gcs/url.ts";
import type { ObjectStore, StoreDeps } from "../../src/store/store.ts";
import { type Clock, systemClock } from "../../src/util/time.ts";

let buckets = 0;

/** No two tests share one. */
export function freshBucket(): string {
  buckets += 1;
  return `bucket-${process.pid}-${buckets}`;
}

export function storeDeps(clock: Clock = systemClock): StoreDeps {
  return { clock, log: silentLog, governor: new Governor({ clock, log: silentLog }), env: {} };
}

export function gcsStore(
  options: Partial<GcsOptions> & { readonly endpoint: string },
  deps: StoreDeps = storeDeps(),
): ObjectStore {
  return openGcsStore({ bucket: "bucket", prefix: "", anonymous: false, ...options }, deps);
}
