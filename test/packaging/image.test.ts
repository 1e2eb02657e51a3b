import { beforeAll, describe, expect, test } from "bun:test";
import { cpSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ContainerHost } from "../support/container-host.ts";
import { dewyBinary } from "../support/dewy.ts";
import type { Engine } from "../support/engine-process.ts";
import { sharedDocker } from "../support/engines.ts";
import { TestHost } from "../support/host.ts";
import { startOciRegistry } from "../support/oci-registry.ts";
import { builtFile, builtRoot } from "../support/roots.ts";
import { tempDir } from "../support/temp-dir.ts";
import { until } from "../support/until.ts";

const image = "dewy:latest";

/** Leaves processes behind whose parent has gone, and says when it is told to end. */
const app = `#!/bin/sh
trap 'echo told >/app/cache/end; exit 0' TERM
for i in 1 2 3 4 5; do sh -c '(sleep 0.2; echo over >>/app/cache/over) >/dev/null 2>&1 &'; done
while :; do sleep 0.1; done
`;

let engine: Engine;

beforeAll(async () => {
  engine = await sharedDocker();
  build(image, "alpine", "-musl", builtFile("dewy-linux-amd64-musl"));
}, 240_000);

describe("the image", () => {
  test("is dewy, in a directory for the app, and says what it is", () => {
    expect(engine.cli("run", "--rm", image, "--version")).toStartWith("dewy version: v");
    const { WorkingDir, Entrypoint, Labels } = inspect(image, ".Config");
    expect({ WorkingDir, Entrypoint }).toEqual({ WorkingDir: "/opt/app", Entrypoint: ["dewy"] });
    expect(Labels).toMatchObject({
      "org.opencontainers.image.title": "dewy",
      "org.opencontainers.image.version": "v1.2.3",
      "org.opencontainers.image.revision": "abc",
    });
  });

  test("is made on a base with glibc, too", () => {
    build("dewy:glibc", "debian", "", dewyBinary);
    expect(engine.cli("run", "--rm", "dewy:glibc", "--version")).toStartWith("dewy version: v");
  }, 240_000);

  test("runs an app with the line that people know, as pid 1 that takes note of all ends", async () => {
    await using host = new TestHost();
    host.publish("v1.0.0", { app });
    const cache = join(host.scratch, "dewy-cache");
    // biome-ignore format: as it stands in the documentation, but for the registry
    const id = engine.cli("run", "-d", "-v", `${host.registry}:/srv/registry`, "--health-interval=1s", "--health-start-period=0s",
      "-e", "DEWY_CACHEDIR=/app/cache",
      "-v", `${cache}:/app/cache`,
      image, "server", "--registry", "file:///srv/registry", "--", "/opt/app/current/app");
    await using _ = removed(id);
    await until("the key of what is current", () => read(join(cache, "current")) !== "", 60_000);
    expect(read(join(cache, "current"))).toBe("v1.0.0--app_linux_amd64.tar.gz");
    await until("it is healthy", () => inspect(id, ".State.Health")["Status"] === "healthy", 60_000);
    await until("what was left behind has ended", () => read(join(cache, "over")).split("\n").length > 5);
    await until("none of it is left", () => !states(id).includes("Z"));
    expect(engine.cli("exec", id, "dewy", "status")).toContain("serving v1.0.0");
    engine.cli("stop", "-t", "40", id);
    expect(read(join(cache, "end"))).toBe("told\n");
    expect(inspect(id, ".State")["ExitCode"]).toBe(0);
    expect(engine.cli("logs", id)).toBe("");
  }, 180_000);

  test("serves again what its volume holds, the registry being away, as a user without rights", async () => {
    await using host = new TestHost();
    host.publish("v1.0.0", { app: "#!/bin/sh\nid -u >id\nwhile :; do sleep 0.1; done\n" });
    const volume = join(host.scratch, "app");
    mkdirSync(volume);
    Bun.spawnSync(["chown", "1234:1234", volume]);
    const run = (...options: string[]) =>
      engine.cli(
        ...["run", "-d", "--user", "1234:1234", "-v", `${volume}:/opt/app`, ...options],
        ...[image, "server", "--registry", "file:///srv/registry", "--no-report", "--", "./current/app"],
      );
    for (const mount of [["-v", `${host.registry}:/srv/registry:ro`], []]) {
      const id = run(...mount);
      await using _ = removed(id);
      await until("the app runs", () => read(join(volume, "id")) === "1234\n", 60_000);
      await until("it is recorded", () => /"current": ?\{/.test(read(join(volume, ".dewy/state.json"))));
      Bun.spawnSync(["rm", join(volume, "id")]);
      engine.cli("stop", "-t", "40", id);
    }
  }, 180_000);

  test("serves from a fresh volume as its own user without rights", async () => {
    await using host = new TestHost();
    host.publish("v1.0.0", { app: "#!/bin/sh\nid -un >id.partial\nmv id.partial id\nexec sleep 1000\n" });
    const volume = `app-${crypto.randomUUID()}`;
    const mounts = ["-v", `${volume}:/opt/app`, "-v", `${host.registry}:/srv/registry:ro`];
    // biome-ignore format: as it stands in the Dockerfile
    const id = engine.cli("run", "-d", "--user", "10001", ...mounts,
      image, "server", "--registry", "file:///srv/registry", "--no-report", "--", "./current/app");
    await using _ = removed(id);
    const who = ["exec", id, "sh", "-c", "cat /opt/app/id 2>/dev/null; true"];
    await until("the app runs", () => engine.cli(...who) === "dewy", 60_000);
    engine.cli("stop", "-t", "40", id);
    expect(inspect(id, ".State")["ExitCode"]).toBe(0);
    await removed(id)[Symbol.asyncDispose]();
    engine.cli("volume", "rm", volume);
  }, 180_000);

  test("takes the executable of the machine that it is built for", () => {
    using dir = tempDir();
    contextIn(dir.path, "dewy-linux-arm64-musl", builtFile("dewy-linux-arm64-musl"));
    // What this machine's processor can't run is left out.
    const text = readFileSync("packaging/docker/Dockerfile", "utf8").replaceAll(/^RUN (?:.*\\\n)*.*$/gm, "");
    const file = join(dir.path, "copying");
    writeFileSync(file, `${text}\nLABEL copied=yes\n`);
    engine.cli(
      ...["build", "-t", "dewy:arm64", "-f", file, "--build-arg", "BASE=scratch"],
      ...["--build-arg", "TARGETARCH=arm64", dir.path],
    );
    const id = engine.cli("create", "dewy:arm64");
    const copy = join(dir.path, "copy");
    engine.cli("cp", `${id}:/usr/local/bin/dewy`, copy);
    engine.cli("rm", id);
    expect(readFileSync(copy).equals(readFileSync(builtFile("dewy-linux-arm64-musl")))).toBe(true);
  }, 120_000);

  test("runs containers on the engine whose socket it is given", async () => {
    await using registry = await startOciRegistry();
    await using host = new ContainerHost(
      { name: "docker", socket: engine.socket, env: engine.env },
      registry,
    );
    await host.publish("v1.0.0");
    // biome-ignore format: a line of options each
    const id = engine.cli("run", "-d", "--network", "host",
      "-v", `${engine.socket}:/var/run/docker.sock`,
      "-v", `${host.root}:/opt/app`,
      image, ...host.arguments([], []).map((arg) => (arg === host.root ? "/opt/app" : arg)));
    await using _ = removed(id);
    await host.serves("v1.0.0");
    await host.publish("v1.1.0");
    await host.serves("v1.1.0");
    engine.cli("stop", "-t", "60", id);
    expect(inspect(id, ".State")["ExitCode"]).toBe(0);
    expect(await host.containers()).toEqual([]);
  }, 180_000);
});

/** By this project's own Dockerfile, from what stands in for `dist/`, on a base made of a local root. */
function build(name: string, root: "alpine" | "debian", libc: string, executable: string): void {
  using dir = tempDir();
  const archive = join(dir.path, "root.tar");
  const packed = Bun.spawnSync(["tar", "-cf", archive, "-C", builtRoot(root), "."]);
  if (packed.exitCode !== 0) throw new Error(`${packed.stderr}`);
  engine.cli("import", archive, `${root}:local`);
  const context = join(dir.path, "context");
  contextIn(context, `dewy-linux-amd64${libc}`, executable);
  const values = {
    BASE: `${root}:local`,
    LIBC: libc,
    TARGETARCH: "amd64",
    VERSION: "v1.2.3",
    REVISION: "abc",
  };
  const args = Object.entries(values).flatMap(([key, value]) => ["--build-arg", `${key}=${value}`]);
  engine.cli("build", "-t", name, "-f", join(context, "packaging/docker/Dockerfile"), ...args, context);
}

function contextIn(directory: string, name: string, executable: string): void {
  mkdirSync(join(directory, "dist"), { recursive: true });
  for (const file of [".dockerignore", "packaging"]) cpSync(file, join(directory, file), { recursive: true });
  cpSync(executable, join(directory, "dist", name));
}

function inspect(name: string, path: string): Record<string, unknown> {
  return JSON.parse(engine.cli("inspect", "--format", `{{json ${path}}}`, name));
}

function removed(id: string): AsyncDisposable {
  return { [Symbol.asyncDispose]: async () => void engine.cli("rm", "-fv", id) };
}

/** Letters of proc(5) for the processes of a container. */
function states(id: string): string[] {
  const stats = engine.cli("exec", id, "sh", "-c", "cat /proc/[0-9]*/stat 2>/dev/null; true");
  return stats.split("\n").map((line) => line.slice(line.lastIndexOf(")") + 2)[0] ?? "");
}

function read(path: string): string {
  return existsSync(path) ? readFileSync(path, "utf8") : "";
}
