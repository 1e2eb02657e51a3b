import { expect, test } from "bun:test";
import { readPage } from "../support/docs-pages.ts";
import { pageLimitMs, wrongScreens } from "../support/docs-run.ts";
import { sharedDocker } from "../support/engines.ts";
import { freePort } from "../support/free-port.ts";
import { startOciRegistry } from "../support/oci-registry.ts";

test(
  "docs/container-mode.md works as it is written",
  async () => {
    await using registry = await startOciRegistry();
    const engine = await sharedDocker();
    const settings = {
      "registry=localhost:5000": `registry=localhost:${registry.port}`,
      "port=8000": `port=${freePort()}`,
    };
    const page = readPage("docs/container-mode.md");
    expect(await wrongScreens(page, { settings, env: engine.env, onHost: true })).toEqual([]);
  },
  pageLimitMs + 60_000,
);
