import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { DeployRecord } from "../../src/release/release.ts";
import { type AppMode, pushApp } from "./container-app.ts";
import { RunningDewy } from "./dewy.ts";
import { freePort } from "./free-port.ts";
import type { ImageConfig } from "./oci-image.ts";
import type { OciRegistry } from "./oci-registry.ts";
import { until } from "./until.ts";

/** An engine as the host's agents and tests reach it. */
export interface TestEngine {
  readonly name: "docker" | "podman";
  readonly socket: string;
  /** What an agent needs to find it. */
  readonly env: Readonly<Record<string, string>>;
}

export interface SeenContainer {
  readonly Id: string;
  readonly Names: readonly string[];
  readonly Image: string;
  readonly ImageID: string;
  readonly State: string;
  readonly Labels: Readonly<Record<string, string>>;
}

let hosts = 0;

/** A working directory, a repository of its own in a registry, free ports, and agents in container mode. */
export class ContainerHost implements AsyncDisposable {
  readonly scratch = mkdtempSync(join(tmpdir(), "dewy-e2e-"));
  readonly root = join(this.scratch, "root");
  readonly name = `t${process.pid}-${hosts++}`;
  readonly repository = `e2e/${this.name}`;
  /** The highest: who looks for agents asks the ports after it, too. */
  readonly adminPort = freePort();
  readonly ports = [freePort(), freePort()] as const;
  readonly #agents: RunningDewy[] = [];

  constructor(
    readonly engine: TestEngine,
    readonly registry: OciRegistry,
  ) {
    mkdirSync(this.root);
  }

  get port(): number {
    return this.ports[0];
  }

  publish(tag: string, mode: AppMode = "good", config: ImageConfig = {}): Promise<string> {
    return pushApp(this.registry, this.repository, tag, mode, config);
  }

  /** `dewy container` with two proxied ports, short times, and docker run options behind `--`. */
  agent(
    flags: readonly string[] = [],
    runOptions: readonly string[] = [],
    through: readonly string[] = [],
  ): RunningDewy {
    const env = { ...this.engine.env, DOCKER_CONFIG: this.scratch };
    const agent = new RunningDewy(this.arguments(flags, runOptions), { env, through });
    this.#agents.push(agent);
    return agent;
  }

  arguments(flags: readonly string[], runOptions: readonly string[]): string[] {
    const own: Readonly<Record<string, string>> = {
      "--root": this.root,
      "--registry": `img://${this.registry.host}/${this.repository}`,
      "--runtime": this.engine.name,
      "--name": this.name,
      "--interval": "1s",
      "--health-path": "/up",
      "--health-timeout": "60s",
      "--health-interval": "1s",
      "--drain-time": "2s",
      "--stop-timeout": "5s",
      "--admin-port": `${this.adminPort}`,
    };
    const set = Object.entries(own).filter(([name]) => !flags.includes(name));
    const ports = flags.includes("--port")
      ? []
      : ["--port", `127.0.0.1:${this.ports[0]}:8080`, "--port", `127.0.0.1:${this.ports[1]}:8081`];
    const options = runOptions.length === 0 ? [] : ["--", ...runOptions];
    // An empty value leaves the flag out.
    const rest = flags.flatMap((flag, at) => (flags[at + 1] === "" || flag === "" ? [] : [flag]));
    return ["container", ...set.flat(), ...ports, ...rest, ...options];
  }

  /** What the app answers: `<version> <container's short id>` on `/`; empty when nothing does. */
  async ask(path = "/", port = this.port): Promise<string> {
    try {
      const answer = await fetch(`http://127.0.0.1:${port}${path}`, {
        keepalive: false,
        signal: AbortSignal.timeout(10_000),
      });
      return (await answer.text()).trim();
    } catch {
      return "";
    }
  }

  serves(tag: string, port = this.port): Promise<string> {
    return until(`the app serves ${tag}`, async () => {
      const answer = await this.ask("/", port);
      return answer.startsWith(`${tag} `) && answer;
    });
  }

  /** Waits until exactly these many containers are there, all of one version. */
  settled(tag: string, replicas: number): Promise<SeenContainer[]> {
    return until(`${replicas} containers of ${tag}`, async () => {
      const all = await this.containers();
      const fits = all.every(({ State, Labels }) => State === "running" && Labels["dewy.version"] === tag);
      return all.length === replicas && fits && all;
    });
  }

  /** This host's, of all states. */
  async containers(): Promise<SeenContainer[]> {
    const filters = JSON.stringify({ label: [`dewy.app=${this.name}`] });
    const answer = await this.api("GET", `/containers/json?all=true&filters=${encodeURIComponent(filters)}`);
    return (await answer.json()) as SeenContainer[];
  }

  api(method: string, path: string, body?: unknown): Promise<Response> {
    return fetch(`http://engine${path}`, {
      method,
      unix: this.engine.socket,
      ...(body === undefined
        ? {}
        : { body: JSON.stringify(body), headers: { "Content-Type": "application/json" } }),
    });
  }

  history(): DeployRecord[] {
    const path = join(this.root, ".dewy/history.jsonl");
    if (!existsSync(path)) return [];
    return readFileSync(path, "utf8")
      .split("\n")
      .filter(Boolean)
      .map((line) => JSON.parse(line));
  }

  state(): {
    current: { tag: string; release: string; digest: string | null } | null;
    quarantine: { tag: string; digest: string | null; reason: string }[];
    failure: { tag: string; lastError: string } | null;
  } {
    return JSON.parse(readFileSync(join(this.root, ".dewy/state.json"), "utf8"));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#agents.map((agent) => agent.stop()));
    for (const { Id } of await this.containers().catch(() => [])) {
      await this.api("DELETE", `/containers/${Id}?force=true&v=true`);
    }
    rmSync(this.scratch, { recursive: true, force: true });
  }
}
