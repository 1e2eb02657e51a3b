import { afterAll, describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { ContainerDelivery } from "../../src/activate/containers.ts";
import type { DeliverySteps } from "../../src/activate/delivery.ts";
import { planDeployment } from "../../src/container/plan/plan.ts";
import { parseRunOptions } from "../../src/container/run-options/parse.ts";
import { DewyError } from "../../src/errors.ts";
import type { ImageSource } from "../../src/oci/image-source.ts";
import type { DeployableRelease, Digest, PlacedRelease } from "../../src/release/release.ts";
import { systemClock } from "../../src/util/time.ts";
import { c, type Host, openHost, root } from "../replicas/replica-set-host.ts";
import { tempDir } from "../support/temp-dir.ts";
import { until } from "../support/until.ts";

const cacheDir = tempDir();
afterAll(() => cacheDir[Symbol.dispose]());

const repository = "reg.example/shop";
const digestOf = (text: string): Digest => `sha256:${Bun.SHA256.hash(text, "hex")}`;

function releaseOf(tag: string, fields: { digest?: Digest; moving?: boolean } = {}): DeployableRelease {
  const digest = fields.digest ?? digestOf(tag);
  const name = `${repository}:${tag}`;
  const artifact = { name, url: `img://${name}`, sizeBytes: null, digest, revision: digest };
  const moving = fields.moving === true ? { moving: true } : {};
  return { tag, ...moving, createdAt: null, artifact, files: [artifact] };
}

/** In the registry, to be pulled. */
function publish(host: Host, tag: string, fields: { digest?: Digest; user?: string } = {}): void {
  const digests = [`${repository}@${fields.digest ?? digestOf(tag)}`];
  host.runtime.addImage(`${repository}:${tag}`, "serve", { digests, user: fields.user ?? "app" });
}

/** On the host already, under its digest. */
function keep(host: Host, tag: string, as = repository): void {
  const digests = [`${as}@${digestOf(tag)}`];
  host.runtime.addImage(`${repository}@${digestOf(tag)}`, "serve", {
    digests,
    id: `sha256:${tag}`,
    tags: [],
  });
  host.runtime.addImage(`sha256:${tag}`, "serve", { digests, id: `sha256:${tag}`, tags: [] });
}

function deliveryOf(host: Host, changes: { resolve?: ImageSource["resolve"] } = {}): ContainerDelivery {
  const { options } = parseRunOptions([]);
  const ports = [{ proxyPort: 8000, containerPort: null }];
  const plan = { app: "shop", options, command: [], ports, root, agent: { uid: 0, gid: 0 }, own: {} };
  return new ContainerDelivery({
    app: "shop",
    root,
    images: {
      repository,
      credentials: async () => null,
      resolve:
        changes.resolve ??
        (async () => ({ digest: digestOf("other"), configDigest: digestOf("other config"), sizeBytes: 1 })),
    },
    runtime: host.runtime,
    replicas: host.set,
    plan: (deployed) => planDeployment(plan, deployed, host.runtime),
    checkEngine: () => undefined,
    setup: "setup1",
    platform: null,
    cacheDir: cacheDir.path,
    clock: systemClock,
    log: host.log,
  });
}

function recording(): DeliverySteps & { readonly course: string[] } {
  const course: string[] = [];
  return {
    course,
    staged: () => void course.push("staged"),
    async switched(directory) {
      course.push(`switched ${directory}`);
    },
    async commit(release) {
      course.push(`commit ${release}`);
    },
  };
}

async function deploy(
  delivery: ContainerDelivery,
  release: DeployableRelease,
  own: Partial<DeliverySteps> = {},
) {
  using obtained = await delivery.obtain(release, c);
  const steps = { ...recording(), ...own };
  const activation = await obtained.deliver(steps, c);
  return { ...activation, fetched: obtained.fetched, digest: obtained.digest, course: steps.course };
}

const pulls = (host: Host) => host.runtime.calls.filter((call) => call === "pull").length;
const imagesRun = (host: Host) => host.runtime.containers.map(({ image }) => image);

describe("an image", () => {
  test("is pulled once, rolled out by its tag, and told by the registry's digest", async () => {
    await using host = openHost();
    const delivery = deliveryOf(host);
    publish(host, "v1.0.0");
    const done = await deploy(delivery, releaseOf("v1.0.0"));
    expect(done).toMatchObject({ how: "rolled", fetched: true, digest: digestOf("v1.0.0") });
    expect(done.course).toEqual([
      "staged",
      "switched null",
      expect.stringMatching(/^commit \d{8}T\d{6}Z$/) as unknown as string,
    ]);
    await host.settles("v1.0.0");
    expect(imagesRun(host)).toEqual([`${repository}:v1.0.0`, `${repository}:v1.0.0`]);
    expect(delivery.status()).toMatchObject({ kind: "serving", release: done.course[2]?.split(" ")[1] });
  });

  test("whose containers all end within the after hook, with those before, has it told to stop", async () => {
    await using host = openHost();
    const delivery = deliveryOf(host);
    publish(host, "v1.0.0");
    await deploy(delivery, releaseOf("v1.0.0"));
    publish(host, "v1.1.0");
    const switched: DeliverySteps["switched"] = (_, { signal }) => {
      for (const { id } of host.runtime.containers) host.runtime.die(id);
      return new Promise((_resolve, reject) => {
        signal.addEventListener("abort", () => reject(signal.reason), { once: true });
      });
    };
    const failing = deploy(delivery, releaseOf("v1.1.0"), { switched });
    expect(await failing.catch((error) => error)).toMatchObject({ code: "serving-ended" });
    await host.settles("v1.0.0");
  });

  test("that is here already is not pulled, and is run by its id where the tag means another", async () => {
    await using host = openHost();
    keep(host, "v1.0.0");
    publish(host, "v1.0.0");
    const { fetched } = await deploy(deliveryOf(host), releaseOf("v1.0.0"));
    expect([fetched, pulls(host)]).toEqual([false, 0]);
    expect(imagesRun(host)).toEqual(["sha256:v1.0.0", "sha256:v1.0.0"]);
  });

  test("that ran here before is run again by its digest, with no pull and nobody asked", async () => {
    await using host = openHost();
    const delivery = deliveryOf(host, { resolve: () => Promise.reject(new Error("the registry is down")) });
    const placed = {
      tag: "v1.0.0",
      artifact: `${repository}:v1.0.0`,
      release: "20261120T090000Z",
      since: "",
    };
    expect(await delivery.revive({ ...placed, digest: digestOf("v1.0.0") }, c)).toBeNull();
    keep(host, "v1.0.0");
    // Its tag means another image by now.
    publish(host, "v1.0.0", { digest: digestOf("another") });
    expect(await delivery.revive({ ...placed, digest: null }, c)).toBeNull();
    using revived = await delivery.revive({ ...placed, digest: digestOf("v1.0.0") }, c);
    if (revived === null) throw new Error("not revived");
    const steps = recording();
    await revived.deliver(steps, c);
    expect([revived.fetched, revived.digest, pulls(host)]).toEqual([false, digestOf("v1.0.0"), 0]);
    expect(imagesRun(host)).toEqual(["sha256:v1.0.0", "sha256:v1.0.0"]);
    // A deployment of its own, later than the one it ran in.
    expect(steps.course.at(-1)).toMatch(/^commit 20[3-9]|^commit 202[6-9]/);
    await host.settles("v1.0.0");
  });

  test("that is here from another repository is pulled all the same", async () => {
    await using host = openHost();
    keep(host, "v1.0.0", "elsewhere.example/shop");
    publish(host, "v1.0.0");
    expect(await deploy(deliveryOf(host), releaseOf("v1.0.0"))).toMatchObject({ fetched: true });
  });

  test("of a moving tag is run by its id: the tag will mean another one", async () => {
    await using host = openHost();
    publish(host, "latest");
    const { id } = host.runtime.addImage("sha256:latest", "serve", { id: "sha256:latest" });
    const digests = [`${repository}@${digestOf("latest")}`];
    host.runtime.addImage(`${repository}:latest`, "serve", { id, digests });
    await deploy(deliveryOf(host), releaseOf("latest", { moving: true }));
    expect(imagesRun(host)).toEqual([id, id]);
  });

  test("that is pulled for hours tells all the while what has come", async () => {
    await using host = openHost();
    publish(host, "v1.0.0");
    const told: [number, number | null][] = [];
    using _ = await deliveryOf(host).obtain(releaseOf("v1.0.0"), c, (...each) => void told.push(each));
    expect(told).toEqual([[512, null]]);
  });

  test("whose tag was moved while it was pulled is refused, for now", async () => {
    await using host = openHost();
    publish(host, "v1.0.0", { digest: digestOf("moved") });
    await expect(deliveryOf(host).obtain(releaseOf("v1.0.0"), c)).rejects.toMatchObject({
      code: "bad-answer",
      blame: "environment",
      message: `${repository}:v1.0.0 was moved to another image while it was pulled`,
    });
    expect(host.log.at("error")).toEqual(["Image pull failed"]);
  });

  test.each<[string, (host: Host) => ReturnType<ImageSource["resolve"]>]>([
    [
      "platform's own manifest",
      async () => ({ digest: digestOf("of this platform"), configDigest: digestOf("x"), sizeBytes: 1 }),
    ],
    [
      "configuration",
      async () => ({ digest: digestOf("x"), configDigest: digestOf("config"), sizeBytes: 1 }),
    ],
  ])("of an index is recognised by its %s", async (_, resolve) => {
    await using host = openHost();
    const digests = [`${repository}@${digestOf("of this platform")}`];
    host.runtime.addImage(`${repository}:v1.0.0`, "serve", { digests, id: digestOf("config") });
    const delivery = deliveryOf(host, { resolve: () => resolve(host) });
    using obtained = await delivery.obtain(releaseOf("v1.0.0"), c);
    expect(obtained).toMatchObject({ fetched: true, digest: digestOf("v1.0.0") });
  });

  test("that runs as root by default is warned of once", async () => {
    await using host = openHost({ replicas: 1 });
    const delivery = deliveryOf(host);
    publish(host, "v1.0.0", { user: "" });
    publish(host, "v1.1.0", { user: "0" });
    await deploy(delivery, releaseOf("v1.0.0"));
    await deploy(delivery, releaseOf("v1.0.0"));
    expect(host.log.at("warn")).toEqual(["Containers run as root"]);
    await deploy(delivery, releaseOf("v1.1.0"));
    expect(host.log.at("warn")).toHaveLength(1);
  });

  test("follows another within a second under a name of its own", async () => {
    await using host = openHost({ replicas: 1 });
    const delivery = deliveryOf(host);
    const names = new Set<string | undefined>();
    for (const tag of ["v1.0.0", "v1.1.0", "v1.2.0"]) {
      publish(host, tag);
      names.add((await deploy(delivery, releaseOf(tag))).course[2]);
    }
    expect(names.size).toBe(3);
    await host.settles("v1.2.0", 1);
  });
});

describe("after the agent's start", () => {
  /** What an agent that was killed leaves: its containers, and its record of them. */
  async function left(host: Host, tag = "v1.0.0"): Promise<PlacedRelease> {
    publish(host, tag);
    const { course } = await deploy(deliveryOf(host), releaseOf(tag));
    await host.settles(tag);
    const image = await host.runtime.image(`${repository}:${tag}`, c);
    host.runtime.addImage(`${repository}@${digestOf(tag)}`, "serve", { ...image });
    const release = course[2]?.split(" ")[1] ?? "";
    return {
      tag,
      digest: digestOf(tag),
      artifact: `${repository}:${tag}`,
      release,
      since: "2026-11-21T09:00:00Z",
    };
  }

  test("the containers of the recorded release serve on", async () => {
    await using first = openHost();
    const recorded = await left(first);
    const names = first.names();
    const second = first.successor();
    const delivery = deliveryOf(second);
    await delivery.resume(recorded, c);
    await until("they serve", () => second.serving().length === 2);
    expect(second.names()).toEqual(names);
    expect(delivery.isIntact()).toBe(true);
    await second.set.close({ drain: false }, c);
  });

  test("the engine may be away for a while; it is said once", async () => {
    await using first = openHost();
    const recorded = await left(first);
    const second = first.successor();
    first.runtime.isDown = true;
    const delivery = deliveryOf(second);
    await delivery.resume(recorded, c);
    expect(delivery.status()).toEqual({ kind: "down", reason: "the engine does not answer" });
    expect(delivery.isIntact()).toBe(true);
    await until(
      "it is tried again",
      () => second.runtime.calls.filter((call) => call === "image").length > 5,
    );
    expect(second.log.at("warn").filter((text) => text === "Recorded version not running yet")).toHaveLength(
      1,
    );
    first.runtime.isDown = false;
    await until("they serve", () => second.serving().length === 2);
    await until("nothing is wrong", () => delivery.status().kind === "serving");
    await second.set.close({ drain: false }, c);
  });

  test("an image that is gone is for the next deploy to bring back", async () => {
    await using host = openHost();
    const delivery = deliveryOf(host);
    const recorded = {
      tag: "v1.0.0",
      digest: digestOf("v1.0.0"),
      artifact: `${repository}:v1.0.0`,
      release: "20261121T090000Z",
      since: "2026-11-21T09:00:00Z",
    };
    await delivery.resume(recorded, c);
    expect(delivery.isIntact()).toBe(false);
    expect(delivery.status()).toMatchObject({
      kind: "down",
      reason: expect.stringContaining("not on this host"),
    });
    publish(host, "v1.0.0");
    await deploy(delivery, releaseOf("v1.0.0"));
    expect(delivery.isIntact()).toBe(true);
    await host.settles("v1.0.0");
  });

  test("with the record lost, the containers tell what runs", async () => {
    await using host = openHost();
    const recorded = await left(host);
    const found = await deliveryOf(host).find(c);
    expect(found).toMatchObject({ tag: "v1.0.0", digest: recorded.digest, release: recorded.release });
  });

  test("with the record lost and the engine away, nothing is known, and the start goes on", async () => {
    await using host = openHost();
    host.runtime.fail("list", new DewyError("engine-unreachable", "no engine"));
    expect(await deliveryOf(host).find(c)).toBeNull();
    expect(host.log.at("warn")).toEqual(["What runs could not be found out"]);
  });
});

test("images of the kept releases stay, older ones go", async () => {
  await using host = openHost({ replicas: 1 });
  const delivery = deliveryOf(host);
  const releases: Record<string, { tag: string; artifact: string; digest: Digest }> = {};
  for (const [index, tag] of ["v1.0.0", "v1.1.0", "v1.2.0", "v1.3.0"].entries()) {
    publish(host, tag);
    await deploy(delivery, releaseOf(tag));
    releases[`2026112${index}T090000Z`] = { tag, artifact: `${repository}:${tag}`, digest: digestOf(tag) };
  }
  const placed = (release: string) => ({ ...releases[release], release, since: "" }) as PlacedRelease;
  const left = await delivery.tidyUp(
    { current: placed("20261123T090000Z"), previous: placed("20261120T090000Z"), releases },
    2,
    c,
  );
  expect(readFileSync(join(cacheDir.path, "current"), "utf8")).toBe(`v1.3.0--${repository}:v1.3.0`);
  expect([...left].sort()).toEqual(["20261120T090000Z", "20261122T090000Z", "20261123T090000Z"]);
  const there = await host.runtime.images(repository, c);
  expect(there.flatMap(({ tags }) => tags).sort()).toEqual(
    ["v1.0.0", "v1.2.0", "v1.3.0"].map((tag) => `${repository}:${tag}`),
  );
});
