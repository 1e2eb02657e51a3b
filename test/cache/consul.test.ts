import { expect, test } from "bun:test";
import { openChunkedCache } from "../../src/cache/chunked/cache.ts";
import { consulParams, readConsulUrl } from "../../src/cache/consul/url.ts";
import { readQuery } from "../../src/util/query.ts";
import { systemClock } from "../../src/util/time.ts";
import { consulAt } from "../support/cache-clients.ts";
import { chunkedFixture, fileOfSize, keysOf } from "../support/chunked-cache.ts";
import { sharedConsul } from "../support/consul-server.ts";
import { recordingLog } from "../support/recording.ts";
import { tempDir } from "../support/temp-dir.ts";
import { cacheContract } from "./contract.ts";

cacheContract("consul://", async () => {
  const { host } = await sharedConsul();
  return chunkedFixture(consulAt(`consul://${host}/test-${crypto.randomUUID()}`));
});

const c = { signal: new AbortController().signal };

test("consul leaves artifacts over max-artifact= on their hosts, and says so once", async () => {
  const { host } = await sharedConsul();
  const url = new URL(`consul://${host}/test-${crypto.randomUUID()}?max-artifact=1MiB`);
  const log = recordingLog();
  const { maxArtifactBytes } = readConsulUrl(url, readQuery(url, consulParams), {});
  const maxFile = {
    sizeBytes: maxArtifactBytes,
    record: "Artifact stays on this host: Consul is no blob store",
  };
  await using cache = openChunkedCache(consulAt(url.href), { clock: systemClock, log }, { maxFile });
  using dir = tempDir();
  const large = fileOfSize(dir.path, 1024 * 1024 + 1);
  for (let times = 0; times < 2; times++) await cache.putFile("v1--app.zip", large, c);
  await cache.putFile("v0--app.zip", fileOfSize(dir.path, 1024 * 1024), c);
  expect(await keysOf(cache)).toEqual(["v0--app.zip"]);
  expect(log.records).toEqual([
    {
      level: "info",
      message: "Artifact stays on this host: Consul is no blob store",
      attributes: { key: "v1--app.zip", size: 1_048_577, limit: 1_048_576 },
    },
  ]);
});

test("consul keeps the keys of another prefix apart, in lists too", async () => {
  const { host } = await sharedConsul();
  const prefix = `test-${crypto.randomUUID()}`;
  await using one = chunkedFixture(consulAt(`consul://${host}/${prefix}`));
  await using two = chunkedFixture(consulAt(`consul://${host}/${prefix}2`));
  await one.cache.compareAndSwap("a", Buffer.from("x"), null, c);
  await two.cache.compareAndSwap("b", Buffer.from("x"), null, c);
  expect(await keysOf(one.cache)).toEqual(["a"]);
  expect(await keysOf(two.cache)).toEqual(["b"]);
});
