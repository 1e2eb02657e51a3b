import { expect, setDefaultTimeout, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { tempDir } from "../support/temp-dir.ts";

setDefaultTimeout(30_000);

const directory = "src/registry/grpc";

test("the generated code is what ./scripts/proto makes of the .proto files", () => {
  using out = tempDir();
  const { exitCode, stderr } = Bun.spawnSync(["./scripts/proto", out.path]);
  expect([exitCode, stderr.toString()]).toEqual([0, ""]);
  const generated = readdirSync(directory).filter((name) => name.endsWith("_pb.ts"));
  expect(readdirSync(out.path).sort()).toEqual(generated.sort());
  for (const name of generated) {
    expect(readFileSync(join(out.path, name), "utf8")).toBe(readFileSync(join(directory, name), "utf8"));
  }
});
