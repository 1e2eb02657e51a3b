/** Two versions, one port, no request lost, in two ways: run it with ./scripts/demo. */
import { cpSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { startLoad } from "../test/support/load.ts";

const dewy = resolve(process.env["DEWY_BINARY"] ?? "dist/dewy-linux-amd64");

interface Demo {
  readonly title: string;
  /** The app's directory. */
  readonly app: string;
  readonly flags: readonly string[];
  /** Clients that keep their connection; only an app that ends gracefully finishes what they ask last. */
  readonly kept: number;
}

const demos: readonly Demo[] = [
  {
    title: "An app that takes its socket over from dewy",
    app: "scripts/demo-app",
    flags: [],
    kept: 8,
  },
  {
    title: "An app that knows nothing of dewy and just listens on PORT: two of it behind dewy's proxy",
    app: "scripts/demo-proxy-app",
    flags: ["--proxy", "--replicas", "2"],
    kept: 0,
  },
];

/** `<registry>/<version>/<archive>`; the archive appears whole, as a release should. */
function publish(version: string, app: string, scratch: string): void {
  const registry = join(scratch, "registry");
  const build = join(scratch, `build-${version}`);
  cpSync(app, build, { recursive: true });
  writeFileSync(join(build, "VERSION"), `${version}\n`);
  const directory = join(registry, version);
  mkdirSync(directory, { recursive: true });
  const partial = join(directory, ".app.tar.gz");
  Bun.spawnSync(["tar", "czf", partial, "-C", build, "."]);
  renameSync(partial, join(directory, "app_linux_amd64.tar.gz"));
}

async function ask(port: number): Promise<string> {
  try {
    return (await (await fetch(`http://127.0.0.1:${port}/`, { keepalive: false })).text()).trim();
  } catch {
    return "";
  }
}

async function until(what: string, ready: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 20_000;
  while (!(await ready())) {
    if (Date.now() > deadline) throw new Error(`waited too long for ${what}`);
    await Bun.sleep(50);
  }
}

function freePort(): number {
  const probe = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
  const { port } = probe;
  probe.stop();
  return port;
}

const say = (text: string) => console.log(`\n== ${text}`);

/** Answers whether no request was lost, and nothing is left. */
async function show({ title, app, flags, kept }: Demo): Promise<boolean> {
  const scratch = mkdtempSync(join(tmpdir(), "dewy-demo-"));
  const registry = join(scratch, "registry");
  const root = join(scratch, "root");
  mkdirSync(root, { recursive: true });
  const port = freePort();
  console.log(`\n=== ${title}`);
  say("Publish v1.0.0 into a directory, and start dewy on it");
  publish("v1.0.0", app, scratch);
  const command = [
    "server",
    "--root",
    root,
    "--registry",
    `file://${registry}`,
    "--port",
    String(port),
    ...flags,
  ];
  const run = [process.execPath, "./current/app.ts"];
  console.log(`$ dewy ${command.join(" ")} --interval 1s --log-level info -- bun ./current/app.ts`);
  const agent = Bun.spawn([dewy, ...command, "--interval", "1s", "--log-level", "info", "--", ...run], {
    stdio: ["ignore", "inherit", "inherit"],
  });
  let exitCode = 1;
  try {
    await until("v1.0.0", async () => (await ask(port)).startsWith("v1.0.0"));
    const committed = () => readFileSync(join(root, ".dewy/history.jsonl"), "utf8").split("\n").length - 1;
    await until("the first deploy", async () => Bun.file(join(root, ".dewy/history.jsonl")).exists());
    say(`It serves: ${await ask(port)}`);

    say(`Put load on it: ${kept} kept connections, 8 clients that connect anew for each request`);
    const load = startLoad(port, { kept, fresh: 8 });
    await Bun.sleep(2000);

    say("Publish v2.0.0 while the load goes on");
    publish("v2.0.0", app, scratch);
    await until("v2.0.0", async () => committed() === 2);
    await Bun.sleep(2000);
    const { requests, failures, answers } = await load.stop();

    say(`It serves: ${await ask(port)}`);
    const shares = [...answers].map(([version, count]) => `${version} ${count}`).join(", ");
    console.log(`requests: ${requests} (${shares}), failed: ${failures.length}`);
    for (const failure of failures.slice(0, 5)) console.log(`  ${failure}`);

    say("History");
    console.log(readFileSync(join(root, ".dewy/history.jsonl"), "utf8").trim());
    say("Status");
    Bun.spawnSync([dewy, "status", "--root", root], { stdio: ["ignore", "inherit", "inherit"] });
    exitCode = failures.length === 0 && requests > 0 ? 0 : 1;
  } finally {
    say("Stop dewy: the app and the port go with it");
    agent.kill("SIGTERM");
    const code = await agent.exited;
    if (code !== 0 || (await ask(port)) !== "") exitCode = 1;
    console.log(
      `dewy ended with code ${code}; the port is ${(await ask(port)) === "" ? "free" : "still taken"}`,
    );
    rmSync(scratch, { recursive: true, force: true });
  }
  return exitCode === 0;
}

let isGood = true;
for (const demo of demos) isGood = (await show(demo)) && isGood;
process.exit(isGood ? 0 : 1);
