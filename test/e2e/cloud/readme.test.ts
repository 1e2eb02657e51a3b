import { expect, test } from "bun:test";
import { chmodSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { dewyBinary } from "../../support/dewy.ts";
import { startGcs } from "../../support/gcs-server.ts";
import { TestHost } from "../../support/host.ts";
import { startMinio } from "../../support/minio.ts";
import { startRedis } from "../../support/redis-server.ts";
import type { ServerProcess } from "../../support/server-process.ts";

/** The README's quick starts: what is marked so is run line by line, but for the line that starts the server. */
const blocks: readonly {
  readonly mark: string;
  readonly address: string;
  readonly start: () => Promise<ServerProcess>;
  /** The README's credentials are the server's own defaults; the test's server has others. */
  readonly user?: string;
}[] = [
  {
    mark: "s3",
    address: "127.0.0.1:9000",
    start: startMinio,
    user: "dewy-test-user:planted-minio-secret",
  },
  { mark: "gs", address: "127.0.0.1:4443", start: startGcs },
  { mark: "redis", address: "127.0.0.1:6379", start: startRedis },
];

test.each(blocks)(
  "the README's quick start with $mark:// works as it is written",
  async (block) => {
    await using server = await block.start();
    await using host = new TestHost();
    const build = join(host.scratch, "build");
    mkdirSync(build);
    const archive = host.publish("v1.0.0");
    symlinkSync(archive, join(build, "myapp_linux_amd64.tar.gz"));
    const bin = join(host.scratch, "bin");
    mkdirSync(bin);
    // Where the README's reader has another root than this one.
    writeFileSync(join(bin, "dewy"), `#!/bin/sh\nexec ${dewyBinary} "$@" --root ${host.root}\n`);
    chmodSync(join(bin, "dewy"), 0o755);
    const [userName = "", password = ""] = block.user?.split(":") ?? [];
    const script = linesOf(block.mark)
      .replaceAll(block.address, `127.0.0.1:${server.port}`)
      .replaceAll("minioadmin:minioadmin", block.user ?? "")
      .replace("AWS_ACCESS_KEY_ID=minioadmin", `AWS_ACCESS_KEY_ID=${userName}`)
      .replace("AWS_SECRET_ACCESS_KEY=minioadmin", `AWS_SECRET_ACCESS_KEY=${password}`)
      .replaceAll("/srv/releases", host.registry);
    const shell = Bun.spawn(["sh", "-euc", script], {
      cwd: host.scratch,
      env: { ...process.env, PATH: `${bin}:${process.env["PATH"]}` },
      stdio: ["ignore", "pipe", "pipe"],
    });
    const output = await Promise.all([new Response(shell.stdout).text(), new Response(shell.stderr).text()]);
    expect([await shell.exited, output.join("")]).toEqual([0, ""]);
    expect(host.current()).toBe("v1.0.0");
  },
  180_000,
);

function linesOf(mark: string): string {
  const block = new RegExp(`<!-- test: ${mark} -->\\n\`\`\`console\\n([^]*?)\`\`\``).exec(
    readFileSync("README.md", "utf8"),
  );
  const lines = (block?.[1] ?? "").split("\n").map((line) => line.replace(/^\$ /, ""));
  return lines.filter((line) => !/ &( |$)/.test(line)).join("\n");
}
