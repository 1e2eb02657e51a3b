import { describe, expect, test } from "bun:test";
import { cleanImages, unneededImages } from "../../../src/container/image/clean.ts";
import type { Image } from "../../../src/container/runtime.ts";
import { DewyError } from "../../../src/errors.ts";
import { newImage } from "../../support/memory-container.ts";
import { MemoryRuntime } from "../../support/memory-runtime.ts";
import { recordingLog } from "../../support/recording.ts";

const c = { signal: new AbortController().signal };
const repository = "ghcr.io/acme/shop";

function image(tag: string, day: number, fields: Partial<Image> = {}): Image {
  const digests = [`${repository}@sha256:${tag}`];
  return newImage(`${repository}:${tag}`, { digests, createdAt: new Date(day * 86_400_000), ...fields });
}

describe("of the repository's images", () => {
  const [a, b, d] = [image("a", 1), image("b", 2), image("d", 3)];
  test.each<[string, readonly Image[], number, (string | null)[], string[]]>([
    ["those of kept releases stay, however old", [a, b, d], 1, ["sha256:a"], ["b", "d"]],
    ["those never deployed count as the oldest", [a, b, d], 2, ["sha256:a"], ["b"]],
    ["all stay while they are few", [a, b, d], 3, ["sha256:a"], []],
    ["kept releases stay even beyond the number", [a, b, d], 1, ["sha256:a", "sha256:b"], ["d"]],
    ["one kept by its id stays", [a, b], 1, [a.id], ["b"]],
    ["a release whose image can't be told keeps nothing", [a, b], 1, [null], ["a"]],
  ])("%s", (_, images, keep, keptDigests, gone) => {
    const unneeded = unneededImages(images, { repository, keep, keptDigests });
    expect(unneeded.map(({ references }) => references[0]).sort()).toEqual(
      gone.map((tag) => `${repository}:${tag}`),
    );
  });

  test("only the names in it go", () => {
    const tags = [`${repository}:v1`, "other/shop:v1", `${repository}-worker:v1`];
    const digests = [`${repository}@sha256:1`, "other/shop@sha256:1"];
    const [unneeded] = unneededImages([image("v1", 1, { tags, digests })], {
      repository,
      keep: 0,
      keptDigests: [],
    });
    expect(unneeded?.references).toEqual([`${repository}:v1`, `${repository}@sha256:1`]);
  });

  test("a registry's port is no tag", () => {
    const local = "localhost:5000/shop";
    const [unneeded] = unneededImages([image("v1", 1, { tags: [`${local}:v1`], digests: [] })], {
      repository: local,
      keep: 0,
      keptDigests: [],
    });
    expect(unneeded?.references).toEqual([`${local}:v1`]);
  });
});

describe("the clean-up", () => {
  function filled(): MemoryRuntime {
    const runtime = new MemoryRuntime();
    for (const [index, tag] of ["v1", "v2", "v3"].entries()) {
      const fields = { digests: [], createdAt: new Date(index) };
      runtime.addImage(`${repository}:${tag}`, "serve", fields);
    }
    return runtime;
  }
  const clean = { repository, keep: 1, keptDigests: [] };
  const tags = async (runtime: MemoryRuntime) =>
    (await runtime.images(repository, c)).flatMap(({ tags }) => tags);

  test("removes by name and says so", async () => {
    const runtime = filled();
    const log = recordingLog();
    await cleanImages(runtime, clean, log, c);
    expect(await tags(runtime)).toEqual([`${repository}:v3`]);
    expect(
      log.records.map(({ message, attributes }) => [message, attributes["tag"] ?? attributes["count"]]),
    ).toEqual([
      ["Keep images", 1],
      ["Removing old image", `${repository}:v2`],
      ["Removing old image", `${repository}:v1`],
    ]);
  });

  test("leaves what a container uses, without a warning", async () => {
    await using runtime = filled();
    const body = { Image: `${repository}:v1` };
    await runtime.create({ name: "old", platform: null, body }, c);
    const log = recordingLog();
    await cleanImages(runtime, clean, log, c);
    expect(await tags(runtime)).toEqual([`${repository}:v1`, `${repository}:v3`]);
    expect(log.at("warn")).toEqual([]);
  });

  test("goes on after a failure, with one warning", async () => {
    const runtime = filled();
    runtime.fail("removeImage", new DewyError("engine-failed", "device busy"));
    const log = recordingLog();
    await cleanImages(runtime, clean, log, c);
    expect(await tags(runtime)).toEqual([`${repository}:v2`, `${repository}:v3`]);
    expect(log.at("warn")).toEqual(["Old images not removed"]);
  });

  test("of an engine that is away is one warning", async () => {
    const runtime = filled();
    runtime.isDown = true;
    const log = recordingLog();
    await cleanImages(runtime, clean, log, c);
    expect(log.at("warn")).toEqual(["Old images not removed"]);
  });
});
