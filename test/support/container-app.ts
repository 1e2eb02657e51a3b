import { existsSync, mkdirSync, readFileSync, renameSync } from "node:fs";
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { type ImageConfig, imageLayer, type Layer, pushImage } from "./oci-image.ts";
import type { PushTarget } from "./oci-push.ts";

/** How an image of the test's app behaves; `good` serves at once. */
export type AppMode = "good" | "exit" | "deaf" | "late" | "sick" | "stubborn";

const source = resolve("test/support/container-app");

/** The test's app as a static binary, built once for each state of its source. */
export function containerApp(): string {
  const hash = Bun.SHA256.hash(readFileSync(join(source, "main.go")), "hex").slice(0, 16);
  const cache = join(homedir(), ".cache/dewy-test");
  const path = join(cache, `container-app-${hash}`);
  if (existsSync(path)) return path;
  mkdirSync(cache, { recursive: true });
  const partial = `${path}.${process.pid}`;
  const { exitCode, stderr } = Bun.spawnSync(
    ["go", "build", "-trimpath", "-ldflags=-s -w", "-o", partial, "."],
    { cwd: source, env: { ...process.env, CGO_ENABLED: "0" } },
  );
  if (exitCode !== 0) throw new Error(`the test's app does not build: ${stderr}`);
  renameSync(partial, path);
  return path;
}

let base: Layer | null = null;

/** Pushes an image of the app that calls itself `tag`. */
export async function pushApp(
  registry: PushTarget,
  repository: string,
  tag: string,
  mode: AppMode = "good",
  config: ImageConfig = {},
): Promise<string> {
  base ??= imageLayer([
    { path: "app", hostPath: containerApp(), mode: 0o755 },
    { path: "tmp/", mode: 0o1777 },
  ]);
  const { digest } = await pushImage(registry, repository, tag, {
    layers: [base],
    files: [
      { path: "VERSION", content: `${tag}\n` },
      { path: "MODE", content: `${mode}\n` },
    ],
    config: { Cmd: ["/app"], ExposedPorts: { "8080/tcp": {} }, ...config },
  });
  return digest;
}
