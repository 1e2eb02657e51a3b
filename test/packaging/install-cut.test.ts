import { describe, expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { fakeDewy, Installation } from "../support/installation.ts";

describe("a script that was cut", () => {
  test("at any place does nothing", async () => {
    await using it = await Installation.open("debian");
    const script = readFileSync("scripts/install.sh", "utf8").replace(
      /^releases_url=$/m,
      `releases_url=${it.server.url}`,
    );
    const ends = Array.from({ length: 40 }, (_, step) => script.trimEnd().length - 1 - step);
    const begin = script.indexOf("\n{ ") + 2;
    const spread = Array.from(
      { length: 40 },
      (_, step) => begin + Math.floor(((script.length - begin) / 40) * step),
    );
    for (const end of [...ends, ...spread]) {
      writeFileSync(it.root.path("/tmp/cut.sh"), script.slice(0, end));
      for (const shell of ["dash", "bash"])
        expect(await it.root.run([shell, "/tmp/cut.sh"])).toMatchObject({ code: 2 });
    }
    expect(it.server.asked).toEqual([]);
    writeFileSync(it.root.path("/tmp/cut.sh"), script.trimEnd());
    expect(await it.root.run(["dash", "/tmp/cut.sh"])).toMatchObject({ code: 0 });
  });
});

describe("several at once", () => {
  test("leave one whole dewy and nothing else", async () => {
    await using it = await Installation.open("debian");
    it.publish("v1.3.0", fakeDewy("v1.3.0"));
    const versions = ["v1.2.3", "v1.3.0"];
    const runs = Array.from({ length: 6 }, (_, run) => it.install(["--version", versions[run % 2] ?? ""]));
    for (const run of await Promise.all(runs)) expect(run).toMatchObject({ code: 0 });
    expect(versions).toContain(await it.version());
    // None replaces another where all find nothing.
    const names = it.root.names("/usr/local/bin").filter((name) => name !== "dewy.previous");
    expect(names).toEqual([".dewy-installed", "dewy"]);
  });
});
