import { expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { inChild } from "../support/cache-child.ts";
import { fileOfSize } from "../support/chunked-cache.ts";
import { sharedConsul } from "../support/consul-server.ts";
import { sharedRedis } from "../support/redis-server.ts";
import { tempDir } from "../support/temp-dir.ts";

setDefaultTimeout(60_000);

const space = `test-${crypto.randomUUID()}`;
const mib = 1024 * 1024;

test.each([
  ["100 MiB through Redis", 100, async () => `${(await sharedRedis()).url}?prefix=${space}`],
  ["40 MiB through Consul", 40, async () => `consul://${(await sharedConsul()).host}/${space}`],
] as const)("%s, both ways, need the memory of a few chunks", async (_, size, place) => {
  const url = await place();
  using dir = tempDir();
  const file = fileOfSize(dir.path, size * mib);
  const put = await inChild([url, "put", file.path, file.digest]);
  expect(put.error).toBeNull();
  const fetched = await inChild([url, "fetch", join(dir.path, "to")]);
  expect(fetched).toMatchObject({ error: null, digest: file.digest });
  // Garbage that is not yet collected, mostly; the artifact's own bytes would come on top.
  for (const { beforeKiB, peakKiB } of [put, fetched]) expect(peakKiB - beforeKiB).toBeLessThan(56 * 1024);
});
