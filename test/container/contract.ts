import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { CreateBody } from "../../src/container/create-body.ts";
import type {
  Container,
  ContainerRuntime,
  PullProgress,
  RegistryCredentials,
} from "../../src/container/runtime.ts";
import type { InstanceEvent } from "../../src/replicas/engine.ts";
import { failureOf } from "../support/engine-failure.ts";
import { until } from "../support/until.ts";

/** What a container does when it is started. */
export type ContractApp =
  | "waits"
  | "ignores-term"
  | "exits-7"
  | "no-such-command"
  | "no-such-user"
  | "eats-memory"
  | "healthy"
  | "sick";

export interface ImageName {
  readonly repository: string;
  readonly tag: string;
}

/** Images where the runtime can pull them from. */
export interface ContractImages {
  /** One for each app, with a repository of its own. `waits` exposes 8080 and 9090, by UDP 53. */
  of(app: ContractApp): Promise<ImageName>;
  publish(repository: string, tag: string, app: ContractApp): Promise<ImageName>;
  /** In a registry that refuses whoever does not have these. */
  locked(): Promise<ImageName & { readonly credentials: RegistryCredentials }>;
  /** In a registry that is not there. */
  unanswered(): Promise<ImageName>;
}

export interface ContractFixture extends AsyncDisposable {
  readonly runtime: ContainerRuntime;
  readonly images: ContractImages;
  /** Runs a container's own check, where the engine leaves that to a systemd that need not be there. */
  check?(id: string): void;
}

type Lack = "health" | "oom" | "users" | "addresses";

export interface ContractOptions {
  /** What this runtime can't show, each with the reason. */
  readonly lacks?: Partial<Record<Lack, string>>;
}

const never = { signal: new AbortController().signal };
const startTimeoutMs = 90_000;
const timeoutMs = 30_000;

/** What every container runtime must do. */
export function containerRuntimeContract(
  name: string,
  open: () => Promise<ContractFixture>,
  options: ContractOptions = {},
): void {
  const label = `contract-${crypto.randomUUID().slice(0, 8)}`;
  let fixture: ContractFixture;
  let runtime: ContainerRuntime;
  let images: ContractImages;

  /** With the label, so that it is gone at the end; its image is pulled. */
  const make = async (
    app: ContractApp,
    body: Partial<CreateBody> = {},
    suffix: string = crypto.randomUUID(),
  ) => {
    const image = await images.of(app);
    await pull(image);
    const { Labels, ...rest } = body;
    return runtime.create(
      {
        name: `${label}-${suffix.slice(0, 8)}`,
        platform: null,
        body: { Image: `${image.repository}:${image.tag}`, Labels: { [label]: "x", ...Labels }, ...rest },
      },
      never,
    );
  };
  const pull = (image: ImageName, credentials: RegistryCredentials | null = null) =>
    runtime.pull({ ...image, platform: null, credentials }, never);
  const get = async (id: string): Promise<Container> => {
    const container = await runtime.inspect(id, never);
    if (container === null) throw new Error(`no container ${id}`);
    return container;
  };
  const becomes = (id: string, what: string, is: (container: Container) => boolean) =>
    until(`the container is ${what}`, async () => {
      const container = await get(id);
      return is(container) ? container : undefined;
    });
  const has = (what: Lack) => options.lacks?.[what] === undefined;

  describe(`${name} as a container runtime`, () => {
    beforeAll(async () => {
      fixture = await open();
      ({ runtime, images } = fixture);
    }, startTimeoutMs);

    afterAll(async () => {
      for (const { id } of await runtime.list({ [label]: "" }, never)) await runtime.remove(id, never);
      await fixture[Symbol.asyncDispose]();
    }, startTimeoutMs);

    test("says who it is", async () => {
      const info = await runtime.info(never);
      expect(["docker", "podman"]).toContain(info.name);
      expect(info.version).toMatch(/^\d+\./);
      expect(info.apiVersion).toMatch(/^1\.\d+$/);
      expect(info.rootless).toBe(false);
    });

    test(
      "pulls an image: its tag, the registry's digest, its ports",
      async () => {
        const { repository, tag } = await images.of("waits");
        const seen: PullProgress[] = [];
        const image = await runtime.pull(
          {
            repository,
            tag,
            platform: null,
            credentials: null,
            onProgress: (progress) => seen.push(progress),
          },
          never,
        );
        expect(image.id).toMatch(/^sha256:[0-9a-f]{64}$/);
        expect(image.tags).toContain(`${repository}:${tag}`);
        expect(image.digests.filter((digest) => digest.startsWith(`${repository}@sha256:`))).not.toBeEmpty();
        expect(image.exposedPorts).toEqual([8080, 9090]);
        expect(image).toMatchObject({ user: "", hasHealthcheck: false });
        expect(image.sizeBytes).toBeGreaterThan(0);
        expect(image.createdAt.getTime()).toBeGreaterThan(0);
        for (const { layers, layersDone } of seen) expect(layersDone).toBeLessThanOrEqual(layers);
        expect(await runtime.image(`${repository}:${tag}`, never)).toEqual(image);
        expect(await runtime.image(image.id, never)).toEqual(image);
        expect(await runtime.image(image.digests[0] ?? "", never)).toEqual(image);
        // What is here already is a pull as well.
        expect((await pull({ repository, tag })).id).toBe(image.id);
      },
      timeoutMs,
    );

    test.each<[string, string, (name: ImageName) => ImageName]>([
      ["a tag that is not there", "not-found", (image) => ({ ...image, tag: "9.9.9" })],
      [
        "a repository that is not there",
        "not-found",
        (image) => ({ ...image, repository: `${image.repository}-unauthorized-denied` }),
      ],
    ])("%s is %s", async (_, code, change) => {
      expect(await failureOf(pull(change(await images.of("waits"))))).toMatchObject({ code });
    });

    test(
      "a locked image needs its credentials, which no error tells",
      async () => {
        const { credentials, ...image } = await images.locked();
        expect(await failureOf(pull(image))).toMatchObject({ code: "unauthorized" });
        const wrong = { kind: "password", username: "dewy", password: "wr0ng-pass" } as const;
        const failure = await failureOf(pull(image, wrong));
        expect(failure).toMatchObject({ code: "unauthorized" });
        expect(`${failure.message} ${failure.hint}`).not.toContain("wr0ng-pass");
        expect((await pull(image, credentials)).tags).toContain(`${image.repository}:${image.tag}`);
      },
      timeoutMs,
    );

    test("a registry that is not there is network-unreachable", async () => {
      expect(await failureOf(pull(await images.unanswered()))).toMatchObject({ code: "network-unreachable" });
    });

    test("an image that is not here is null, and has nothing to remove", async () => {
      expect(await runtime.image("127.0.0.1:9/none/here:1", never)).toBeNull();
      expect(await runtime.removeImage("127.0.0.1:9/none/here:1", never)).toBe("absent");
    });

    test(
      "images of a repository are those of no other with a longer or shorter name",
      async () => {
        const a = await images.publish("contract/list", "1.0.0", "waits");
        const b = await images.publish("contract/list", "1.1.0", "exits-7");
        const other = await images.publish("contract/list-other", "1.0.0", "ignores-term");
        const ids: string[] = [];
        for (const each of [a, b]) ids.push((await pull(each)).id);
        await pull(other);
        const found = await runtime.images(a.repository, never);
        expect(found.map(({ id }) => id).sort()).toEqual(ids.sort());
        expect(await runtime.images(a.repository.replace("/list", ""), never)).toEqual([]);
        for (const { repository, tag } of [a, b, other])
          await runtime.removeImage(`${repository}:${tag}`, never);
        expect(await runtime.images(a.repository, never)).toEqual([]);
      },
      timeoutMs,
    );

    test(
      "an image in use stays; when nothing uses it, it goes",
      async () => {
        const { repository, tag } = await images.publish("contract/in-use", "1.0.0", "no-such-command");
        const image = await pull({ repository, tag });
        const spec = { Image: `${repository}:${tag}`, Labels: { [label]: "x" } };
        const id = await runtime.create({ name: `${label}-use`, platform: null, body: spec }, never);
        expect(await runtime.removeImage(`${repository}:${tag}`, never)).toBe("in-use");
        expect(await runtime.removeImage(image.id, never)).toBe("in-use");
        await runtime.remove(id, never);
        expect(await runtime.removeImage(`${repository}:${tag}`, never)).toBe("removed");
        expect(await runtime.image(image.id, never)).toBeNull();
      },
      timeoutMs,
    );

    test(
      "created, started, stopped, removed",
      async () => {
        const id = await make("waits", { Labels: { colour: "blue" } });
        const image = await images.of("waits");
        expect(await get(id)).toMatchObject({
          id,
          status: "created",
          health: "none",
          pid: null,
          exitCode: null,
          startedAt: null,
          image: `${image.repository}:${image.tag}`,
          imageId: (await runtime.image(`${image.repository}:${image.tag}`, never))?.id ?? "",
          ports: [],
          addresses: [],
          restartCount: 0,
        });
        await runtime.start(id, never);
        await runtime.start(id, never);
        const running = await get(id);
        expect(running).toMatchObject({ status: "running", exitCode: null, oomKilled: false, error: "" });
        expect(running.pid).toBeGreaterThan(0);
        expect(running.name).toStartWith(label);
        expect(running.labels).toMatchObject({ [label]: "x", colour: "blue" });
        expect(Math.abs(Date.now() - (running.startedAt?.getTime() ?? 0))).toBeLessThan(60_000);
        await runtime.stop(id, 10_000, never);
        expect(await get(id)).toMatchObject({ status: "exited", exitCode: 0, pid: null, ports: [] });
        await runtime.stop(id, 10_000, never);
        await runtime.remove(id, never);
        expect(await runtime.inspect(id, never)).toBeNull();
        await runtime.remove(id, never);
        await runtime.stop(id, 0, never);
      },
      timeoutMs,
    );

    test("a running container is removed at once, however it likes that", async () => {
      const id = await make("ignores-term");
      await runtime.start(id, never);
      const startedMs = performance.now();
      await runtime.remove(id, never);
      // An engine's own grace is ten seconds.
      expect(performance.now() - startedMs).toBeLessThan(10_000);
      expect(await runtime.inspect(id, never)).toBeNull();
    });

    test("what does not stop within its grace is killed", async () => {
      const id = await make("ignores-term");
      await runtime.start(id, never);
      await runtime.stop(id, 300, never);
      expect(await get(id)).toMatchObject({ status: "exited", exitCode: 137 });
    });

    test("one that ends by itself has its exit code", async () => {
      const id = await make("exits-7");
      await runtime.start(id, never);
      expect((await becomes(id, "exited", ({ status }) => status === "exited")).exitCode).toBe(7);
    });

    test("a command that is not in the image is start-failed", async () => {
      const id = await make("no-such-command");
      expect(await failureOf(runtime.start(id, never))).toMatchObject({ code: "start-failed" });
      expect((await get(id)).status).toBe("created");
    });

    if (has("users"))
      test("a user that is not in the image is start-failed", async () => {
        const id = await make("no-such-user");
        expect(await failureOf(runtime.start(id, never))).toMatchObject({ code: "start-failed" });
      });

    if (has("oom"))
      test("one that is killed for its memory says so", async () => {
        const id = await make("eats-memory", { HostConfig: { Memory: 8 << 20, MemorySwap: 8 << 20 } });
        await runtime.start(id, never);
        // Docker hears of the reason after it has heard of the end.
        const isTold = ({ status, oomKilled }: Container) => status === "exited" && oomKilled;
        expect((await becomes(id, "killed for its memory", isTold)).exitCode).toBe(137);
      });

    const checked: [ContractApp, Container["health"]][] = [
      ["healthy", "healthy"],
      ["sick", "unhealthy"],
    ];
    test.each(has("health") ? checked : [])(
      "an image's own check: %s becomes %s",
      async (app, health) => {
        const id = await make(app);
        expect((await runtime.image((await get(id)).imageId, never))?.hasHealthcheck).toBe(true);
        await runtime.start(id, never);
        expect(["starting", health]).toContain((await get(id)).health);
        await becomes(id, health, (container) => {
          fixture.check?.(id);
          return container.health === health;
        });
      },
      timeoutMs,
    );

    test("published ports and addresses, read anew after a restart", async () => {
      const body: Partial<CreateBody> = {
        ExposedPorts: { "8080/tcp": {} },
        HostConfig: { PortBindings: { "8080/tcp": [{ HostIp: "127.0.0.1", HostPort: "" }] } },
      };
      const id = await make("waits", body);
      await runtime.start(id, never);
      const { ports, addresses } = await get(id);
      expect(ports).toEqual([{ appPort: 8080, hostIp: "127.0.0.1", hostPort: expect.any(Number) }]);
      if (has("addresses")) expect(addresses).toEqual([expect.stringMatching(/^\d+\.\d+\.\d+\.\d+$/)]);
      await runtime.stop(id, 5000, never);
      expect(await get(id)).toMatchObject({ ports: [], addresses: [] });
      await runtime.start(id, never);
      expect((await get(id)).ports).toHaveLength(1);
    });

    test("list takes all labels, an empty value is any, all states count", async () => {
      const mine = `${label}-list`;
      const red = await make("waits", { Labels: { [mine]: "red", side: "left" } });
      const blue = await make("waits", { Labels: { [mine]: "blue", side: "left" } });
      await runtime.start(blue, never);
      const ids = async (labels: Record<string, string>) =>
        (await runtime.list(labels, never)).map(({ id }) => id).sort();
      expect(await ids({ [mine]: "red" })).toEqual([red]);
      expect(await ids({ [mine]: "" })).toEqual([red, blue].sort());
      expect(await ids({ [mine]: "blue", side: "left" })).toEqual([blue]);
      expect(await ids({ [mine]: "blue", side: "right" })).toEqual([]);
      expect(await ids({ [mine]: "re" })).toEqual([]);
    });

    test("a name is one container's; the other's failure is the engine's, not the release's", async () => {
      await make("waits", {}, "sametime");
      const failure = await failureOf(make("waits", {}, "sametime"));
      expect(failure).toMatchObject({ code: "engine-failed", blame: "environment" });
    });

    test("create: an image that is not here is not-found, an option the engine refuses config-invalid", async () => {
      const spec = { name: `${label}-none`, platform: null, body: { Image: "127.0.0.1:9/none/here:1" } };
      expect(await failureOf(runtime.create(spec, never))).toMatchObject({ code: "not-found" });
      const refused = make("waits", {
        HostConfig: { RestartPolicy: { Name: "bogus", MaximumRetryCount: 0 } },
      });
      expect(await failureOf(refused)).toMatchObject({ code: "config-invalid" });
    });

    test("start and inspect of one that is gone", async () => {
      const id = await make("waits");
      await runtime.remove(id, never);
      expect(await failureOf(runtime.start(id, never))).toMatchObject({ code: "engine-failed" });
      expect(await runtime.inspect(id, never)).toBeNull();
    });

    test("two removes at once both end when it is gone", async () => {
      const id = await make("ignores-term");
      await runtime.start(id, never);
      const both = [1, 2].map(async () => {
        await runtime.remove(id, never);
        expect(await runtime.inspect(id, never)).toBeNull();
      });
      await Promise.all(both);
    });

    test(
      "watch tells of start, die and destroy of those with the label, and of no other",
      async () => {
        const mine = `${label}-watch`;
        const events: InstanceEvent[] = [];
        const stop = new AbortController();
        const watching = failureReason(
          runtime.watch({ [mine]: "yes" }, (event) => events.push(event), { signal: stop.signal }),
        );
        const others = await make("waits");
        // It is not told when the engine has begun to report: until then a container is one too early.
        const probe = await until("the watch has begun", async () => {
          const id = await make("waits", { Labels: { [mine]: "yes" } });
          const told = () => events.some((event) => event.id === id);
          return until("an event of it", told, 2500).then(
            () => id,
            () => undefined,
          );
        });
        for (const id of [others, probe]) {
          await runtime.start(id, never);
          await runtime.stop(id, 0, never);
          await runtime.remove(id, never);
        }
        const of = (id: string) => events.filter((event) => event.id === id).map(({ action }) => action);
        await until("the end of it is told", () => of(probe).includes("destroy"));
        const wanted = ["start", "die", "destroy"];
        expect(of(probe).filter((action) => wanted.includes(action))).toEqual(wanted);
        expect(of(others)).toEqual([]);
        const why = new Error("enough");
        stop.abort(why);
        expect(await watching).toBe(why);
      },
      timeoutMs,
    );

    test("a call ends when it is aborted, with the signal's reason", async () => {
      const id = await make("ignores-term");
      await runtime.start(id, never);
      const calls: ((c: { signal: AbortSignal }) => Promise<unknown>)[] = [
        (c) => runtime.stop(id, 20_000, c),
        (c) => runtime.watch({ [label]: "nobody" }, () => {}, c),
      ];
      for (const call of calls) {
        const stop = new AbortController();
        const ended = failureReason(call({ signal: stop.signal }));
        const why = new Error("stop it");
        // A whole exchange later the call is under way.
        await runtime.info(never);
        stop.abort(why);
        expect(await ended).toBe(why);
      }
      expect((await get(id)).status).toBe("running");
      await runtime.remove(id, never);
    });

    test("a call that is aborted before is not made", async () => {
      const why = new Error("before");
      const c = { signal: AbortSignal.abort(why) };
      const image = await images.of("waits");
      const spec = {
        name: `${label}-not`,
        platform: null,
        body: { Image: `${image.repository}:${image.tag}` },
      };
      const calls: Promise<unknown>[] = [
        runtime.info(c),
        runtime.pull({ ...image, platform: null, credentials: null }, c),
        runtime.image("x:1", c),
        runtime.images("x", c),
        runtime.removeImage("x:1", c),
        runtime.create(spec, c),
        runtime.start("x", c),
        runtime.inspect("x", c),
        runtime.list({}, c),
        runtime.stop("x", 0, c),
        runtime.remove("x", c),
        runtime.watch({}, () => {}, c),
      ];
      for (const call of calls) expect(await failureReason(call)).toBe(why);
    });
  });
}

/** What it rejects with; an error when it does not. */
async function failureReason(work: Promise<unknown>): Promise<unknown> {
  try {
    await work;
  } catch (error) {
    return error;
  }
  throw new Error("it did not fail");
}
