import { describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import type { DeployRecord } from "../../src/release/release.ts";
import { installScripts } from "../support/docs-install.ts";
import { freePort } from "../support/free-port.ts";
import { glibcName, muslName } from "../support/installation.ts";
import { ReleaseServer } from "../support/release-server.ts";
import { builtFile, TestRoot } from "../support/roots.ts";
import { until } from "../support/until.ts";

/** What a release's archive holds: BusyBox serves the directory at the port that it is given. */
const app = '#!/bin/sh\nexec busybox httpd -f -p "127.0.0.1:$PORT" -h "$DEWY_RELEASE_DIR"\n';

/** Packed by the root's own tools, whole at once. */
async function publish(root: TestRoot, tag: string): Promise<void> {
  const script = `
    mkdir -p /tmp/build /srv/releases/.next && cd /tmp/build &&
    printf '%s' "$APP" >myapp && chmod 755 myapp && echo ${tag} >index.html &&
    tar czf /srv/releases/.next/myapp_linux_amd64_arm64.tar.gz . && mv /srv/releases/.next /srv/releases/${tag}`;
  expect(await root.sh(script, { env: { APP: app } })).toMatchObject({ code: 0 });
}

class Served implements AsyncDisposable {
  readonly port = freePort();
  #agent: Bun.Subprocess<"ignore", "inherit", "pipe"> | null = null;
  #said = Promise.resolve("");

  constructor(readonly root: TestRoot) {
    mkdirSync(root.path("/opt/myapp"), { recursive: true });
  }

  start(): void {
    const flags = [
      "--registry",
      "file:///srv/releases",
      "--interval",
      "1s",
      "--proxy",
      "--port",
      `${this.port}`,
    ];
    const quick = ["--min-uptime", "300ms", "--drain-time", "1s", "--no-report"];
    const command = ["dewy", "server", ...flags, ...quick, "--", "./current/myapp"];
    this.#agent = Bun.spawn(this.root.command(command, { cwd: "/opt/myapp" }), {
      stdio: ["ignore", "inherit", "pipe"],
    });
    // At its default level a healthy run says nothing.
    this.#said = new Response(this.#agent.stderr).text();
  }

  async serves(tag: string): Promise<void> {
    const ask = () =>
      fetch(`http://127.0.0.1:${this.port}/`, { keepalive: false, signal: AbortSignal.timeout(5000) })
        .then((answer) => answer.text())
        .catch(() => ""); // not yet
    await until(`${tag} is served`, async () => (await ask()).trim() === tag, 60_000);
    await until(`${tag} is recorded`, () => this.deploys().at(-1)?.[0] === tag);
  }

  async stop(): Promise<{ code: number | null; said: string }> {
    this.#agent?.kill("SIGTERM");
    await this.#agent?.exited;
    return { code: this.#agent?.exitCode ?? null, said: await this.#said };
  }

  deploys(): (readonly [string, string | null])[] {
    const path = this.root.path("/opt/myapp/.dewy/history.jsonl");
    const lines = existsSync(path) ? readFileSync(path, "utf8").split("\n").filter(Boolean) : [];
    return lines
      .map((line) => JSON.parse(line) as DeployRecord)
      .map(({ tag, fromTag }) => [tag, fromTag] as const);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}

/** The README's first one, with `get` in place of curl. */
function installLine(get: string, url: string): string {
  const line = installScripts("README.md", url)[0]?.split(/ +#/)[0] ?? "";
  expect(line).toStartWith(`curl -fsSL ${url}/`);
  return line.replace("curl -fsSL", get);
}

/** Other bytes, the same program: padding of the ELF header. */
function repacked(binary: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  const other = binary.slice();
  other[15] = 1;
  return other;
}

describe.each([
  ["debian", glibcName, "curl -fsSL"],
  ["alpine", muslName, "wget -qO-"],
] as const)("a fresh %s", (kind, name, get) => {
  test("goes from nothing to a served version, through an upgrade of dewy, and back to nothing", async () => {
    await using server = new ReleaseServer();
    await using root = await TestRoot.open(kind);
    const binary = await Bun.file(builtFile(name)).bytes();
    server.publish("v0.0.1", { [name]: binary });
    const line = installLine(get, server.url);
    const install = (...args: string[]) =>
      root.sh(args.length === 0 ? line : `${line} -s -- ${args.join(" ")}`);
    const installed = await install();
    expect(installed.output).toContain("is in /usr/local/bin/dewy\n");
    expect(installed.code).toBe(0);

    await publish(root, "v1.0.0");
    await using served = new Served(root);
    served.start();
    await served.serves("v1.0.0");

    // The program of an agent that runs can't be written to (ETXTBSY), and must not be missed.
    server.publish("v0.0.2", { [name]: repacked(binary) });
    expect((await install()).output).toContain("the one before is /usr/local/bin/dewy.previous\n");
    await served.serves("v1.0.0");
    await publish(root, "v1.1.0");
    await served.serves("v1.1.0");
    expect(await served.stop()).toEqual({ code: 0, said: "" });

    served.start();
    await served.serves("v1.1.0");
    await publish(root, "v1.2.0");
    await served.serves("v1.2.0");
    expect(served.deploys()).toEqual([
      ["v1.0.0", null],
      ["v1.1.0", "v1.0.0"],
      ["v1.2.0", "v1.1.0"],
    ]);
    expect(await served.stop()).toEqual({ code: 0, said: "" });

    expect(await install("--uninstall")).toMatchObject({ code: 0 });
    expect(root.names("/usr/local/bin")).toEqual([]);
    expect(readFileSync(root.path("/opt/myapp/current/index.html"), "utf8")).toBe("v1.2.0\n");
  }, 240_000);
});

test("without libstdc++ an Alpine is told what to add, and nothing is installed", async () => {
  await using server = new ReleaseServer();
  await using root = await TestRoot.open("alpine");
  server.publish("v0.0.1", { [muslName]: await Bun.file(builtFile(muslName)).bytes() });
  await root.sh("rm /usr/lib/libstdc++* /usr/lib/libgcc*");
  const { code, output } = await root.sh(`wget -qO- ${server.url}/latest/download/install.sh | sh`);
  expect(code).toBe(1);
  expect(output).toContain("install: on Alpine: apk add libstdc++ libgcc\n");
  expect(root.names("/usr/local/bin")).toEqual([]);
}, 60_000);
