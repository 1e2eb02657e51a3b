import { fileNameOf } from "../../src/cache/key.ts";
import { openObjectCache } from "../../src/cache/object.ts";
import type { StoreFixture } from "../store/contract.ts";
import { recordingLog } from "../support/recording.ts";
import type { CacheFixture } from "./contract.ts";

export function objectCacheFixture(fixture: StoreFixture): CacheFixture {
  const log = recordingLog();
  return {
    cache: openObjectCache(fixture.store, { log }),
    log,
    corrupt: (key) => fixture.corrupt(fileNameOf(key)),
    [Symbol.asyncDispose]: () => fixture[Symbol.asyncDispose](),
  };
}
