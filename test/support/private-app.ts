import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** How an app behaves that reads its port from PORT. */
export type PrivateMode =
  | "serve"
  | "exit"
  | "deaf"
  | "hang"
  | "fail"
  | "late"
  | "stubborn"
  | "elsewhere"
  | "six"
  | "dies";

/**
 * One app for all modes, a program that knows nothing of dewy. `exit`: ends with 3 at once; `deaf`: never listens;
 * `hang`: accepts and never answers; `fail`: 500; `late`: listens after a second; `stubborn`: SIGTERM does nothing;
 * `elsewhere`: listens at 127.0.0.2; `six`: listens at ::1 alone;
 * `dies`: ends with 9 after three seconds. Answers `<version> <pid>`.
 */
export function privateApp(version: string, mode: PrivateMode = "serve"): string {
  return `
const mode = ${JSON.stringify(mode)};
if (mode === "exit") process.exit(3);
if (mode === "dies") setTimeout(() => process.exit(9), 3000);
if (mode === "deaf") setInterval(() => {}, 1000);
if (mode === "stubborn") process.on("SIGTERM", () => {});
const hostname = mode === "elsewhere" ? "127.0.0.2" : mode === "six" ? "::1" : "127.0.0.1";
const serve = () => Bun.serve({
  hostname,
  port: Number(process.env.PORT),
  fetch: () => {
    if (mode === "hang") return new Promise(() => {});
    if (mode === "fail") return new Response("no", { status: 500 });
    return new Response("${version} " + process.pid + "\\n");
  },
});
if (mode === "late") setTimeout(serve, 1000);
else if (mode !== "deaf") serve();
`;
}

/** Puts a release with this app into \`<root>/releases/<release>\`. */
export function placePrivateApp(root: string, release: string, version: string, mode?: PrivateMode): void {
  const directory = join(root, "releases", release);
  mkdirSync(directory, { recursive: true });
  writeFileSync(join(directory, "app.ts"), privateApp(version, mode));
}
