/**
 * `bun loaded-modules.ts ROOT REGISTRY [FLAG...]`: runs `dewy assets --once` from source in this process, and prints
 * which packages it has loaded, as JSON.
 */
import { runAgent } from "../../src/cli/run/run.ts";
import type { agentSchemas } from "../../src/config/config.ts";
import { loadConfig } from "../../src/config/load.ts";

const [root = "", registry = "", ...flags] = process.argv.slice(2);
const settings = {
  root,
  registry: `file://${registry}`,
  cache: "file",
  notifier: [],
  interval: "10s",
  keep: "7",
  window: [],
  "min-age": "0",
  jitter: "0",
  link: [],
  "hook-failure": "continue",
  "hook-timeout": "10m",
  "log-level": "error",
  "log-format": "text",
  once: true,
  "no-report": true,
  "max-artifact-size": "1GB",
  telemetry: flags.includes("--telemetry"),
  "otlp-insecure": flags.includes("--otlp-endpoint"),
  "otlp-endpoint": flags.includes("--otlp-endpoint") ? "127.0.0.1:9" : undefined,
} satisfies Partial<Record<keyof (typeof agentSchemas)["assets"]["entries"], unknown>>;
const loaded = await loadConfig("assets", settings, {}, () => []);
if ("problems" in loaded) throw new Error(JSON.stringify(loaded.problems));
const code = await runAgent(loaded.config, { env: {}, stderr: (text) => process.stderr.write(text) });
const packages = Object.keys(require.cache).flatMap(
  (path) => /node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(path)?.[1] ?? [],
);
console.log(JSON.stringify({ code, packages: [...new Set(packages)] }));
process.exit(0);
