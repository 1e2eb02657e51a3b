/** An app that knows nothing of dewy: it listens on PORT, answers with its version, and SIGTERM just ends it. */
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";

const version = readFileSync(join(dirname(import.meta.path), "VERSION"), "utf8").trim();
Bun.serve({
  hostname: "127.0.0.1",
  port: Number(process.env["PORT"]),
  fetch: () => new Response(`${version} - ${process.pid}\n`),
});
