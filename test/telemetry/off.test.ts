import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { TestHost } from "../support/host.ts";

const script = join(import.meta.dir, "../support/loaded-modules.ts");

/** Packages that a run of an agent has loaded when it ends. */
async function loadedBy(flags: readonly string[]): Promise<readonly string[]> {
  await using host = new TestHost();
  host.publish("v1.0.0");
  const child = Bun.spawn([process.execPath, script, host.root, host.registry, ...flags], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  const [out, errors] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  if (out === "") throw new Error(errors);
  const { code, packages } = JSON.parse(out);
  expect(code).toBe(0);
  return packages;
}

const vendors = (packages: readonly string[]) =>
  packages.filter((name) => name.startsWith("@opentelemetry/") || name === "@grpc/grpc-js");

describe("an agent loads", () => {
  test("nothing of OpenTelemetry without telemetry", async () => {
    const packages = await loadedBy([]);
    expect(packages).toContain("valibot");
    expect(vendors(packages)).toEqual([]);
  });

  test("OpenTelemetry but no gRPC with --telemetry", async () => {
    const packages = vendors(await loadedBy(["--telemetry"]));
    expect(packages).toContain("@opentelemetry/sdk-metrics");
    expect(packages).toContain("@opentelemetry/exporter-prometheus");
    expect(packages).not.toContain("@grpc/grpc-js");
  });

  test("gRPC too with --otlp-endpoint", async () => {
    expect(vendors(await loadedBy(["--otlp-endpoint"]))).toContain("@grpc/grpc-js");
  });
});
