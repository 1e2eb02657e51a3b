import { describe, expect, test } from "bun:test";
import { inRelease } from "../../src/process/in-release.ts";
import { type ProcessPlan, planProcesses } from "../../src/process-engine/plan.ts";
import type { ProcessSpec } from "../../src/process-engine/spec.ts";

describe("a word of the command", () => {
  test.each<[string, string]>([
    ["./current/app", "./releases/R/app"],
    ["current/app", "releases/R/app"],
    ["./current", "./releases/R"],
    ["/srv/shop/current/app", "/srv/shop/releases/R/app"],
    ["--config=./current/app.toml", "--config=./releases/R/app.toml"],
    ["-c=/srv/shop/current", "-c=/srv/shop/releases/R"],
    ["current", "current"],
    ["./currently/app", "./currently/app"],
    ["/srv/other/current/app", "/srv/other/current/app"],
    ["./a/current/app", "./a/current/app"],
    ["--show=current", "--show=current"],
    ["", ""],
  ])("%j is %j", (word, expected) => {
    expect(inRelease(word, "/srv/shop", "R")).toBe(expected);
  });
});

describe("a plan", () => {
  const plan: ProcessPlan = {
    app: "shop",
    root: "/srv/shop",
    command: ["node", "./current/server.js"],
    ports: [
      { port: 8000, variable: "PORT" },
      { port: 9000, variable: "ADMIN_PORT" },
    ],
    envDir: null,
    user: null,
  };
  const deployed = {
    version: "v1",
    release: "20261121T090000Z",
    deployedAt: new Date("2026-11-21T09:00:00Z"),
  };
  const options = (changes: Partial<ProcessPlan>) => planned(changes).deployment.options;

  function planned(changes: Partial<ProcessPlan> = {}) {
    const specs: ProcessSpec[] = [];
    const engine = { create: async (spec: ProcessSpec) => `${specs.push(spec)}` };
    return { specs, deployment: planProcesses({ ...plan, ...changes }, deployed, engine) };
  }

  test("runs its own release, and tells it where it lies and what its ports are", async () => {
    const { specs, deployment } = planned();
    await deployment.create(1, { signal: new AbortController().signal });
    expect(specs).toMatchObject([
      {
        name: "shop-1795251600-1",
        release: "20261121T090000Z",
        command: ["node", "./releases/20261121T090000Z/server.js"],
        env: { DEWY_RELEASE_DIR: "/srv/shop/releases/20261121T090000Z" },
        labels: { "dewy.version": "v1", "dewy.replica": "1", "dewy.root": "/srv/shop" },
        ports: [
          { appPort: 8000, variable: "PORT" },
          { appPort: 9000, variable: "ADMIN_PORT" },
        ],
      },
    ]);
  });

  test.each<[string, Partial<ProcessPlan>]>([
    ["command", { command: ["node", "./current/other.js"] }],
    ["ports", { ports: [{ port: 8000, variable: "PORT" }] }],
    [
      "variables",
      {
        ports: [
          { port: 8000, variable: "WEB" },
          { port: 9000, variable: "ADMIN_PORT" },
        ],
      },
    ],
    ["ENVDIR", { envDir: "/srv/env" }],
    ["user", { user: { uid: 1, gid: 1, groups: [1], name: "www", home: "/" } }],
  ])("of another %s is another one", (_, changes) => {
    expect(options(changes)).not.toBe(options({}));
    expect(options({})).toBe(options({}));
  });
});
