import { describe, expect, test } from "bun:test";
import { dewy } from "./support.ts";

const root = process.cwd();

describe("an operator's command", () => {
  test.each<[string[], object]>([
    [["status", "--all"], { kind: "status", root: null, json: false }],
    [["history", "-n", "3"], { kind: "history", root, json: false, count: 3 }],
    [["history"], { kind: "history", root, json: false, count: 20 }],
    [["check"], { kind: "check", root, json: false, alone: false, from: null }],
    [
      ["check", "--registry", "ghr://o/r", "--slot", "blue"],
      {
        ...{ kind: "check", root, json: false, alone: true },
        from: { registry: "ghr://o/r", calver: null, slot: "blue" },
      },
    ],
    [["deploy", "v1.2.3"], { kind: "order", root, json: false, order: { kind: "deploy", tag: "v1.2.3" } }],
    [["rollback"], { kind: "order", root, json: false, order: { kind: "rollback", tag: null } }],
    [["rollback", "v1"], { kind: "order", root, json: false, order: { kind: "rollback", tag: "v1" } }],
    [
      ["hold", "--reason", "incident", "--all"],
      { kind: "order", root: null, json: false, order: { kind: "hold", until: null, reason: "incident" } },
    ],
    [["resume", "--json"], { kind: "order", root, json: true, order: { kind: "resume" } }],
    [["restart"], { kind: "order", root, json: false, order: { kind: "restart" } }],
    [["reload"], { kind: "order", root, json: false, order: { kind: "reload" } }],
    [["logs"], { kind: "logs", root, json: false, count: 100, level: "debug", follow: false }],
    [
      ["logs", "-n", "5", "--level", "WARN", "--follow"],
      { kind: "logs", root, json: false, count: 5, level: "warn", follow: true },
    ],
  ])("%j", async (argv, request) => {
    const { errors, ran } = await dewy(argv);
    expect(errors).toEqual([]);
    expect(ran?.options).toEqual(request);
  });

  test("holds until the time that is meant", async () => {
    const year = new Date().getFullYear() + 2;
    const { ran } = await dewy(["hold", "--until", `${year}-12-01T08:00Z`]);
    expect(ran?.options).toMatchObject({ order: { until: new Date(`${year}-12-01T08:00:00Z`) } });
  });

  test.each<[string[], string[]]>([
    [
      ["status", "--all", "--root", "/srv"],
      ["Error: --all and --root say different things; write one of them"],
    ],
    [
      ["check", "--all", "--registry", "ghr://o/r"],
      ["Error: --all and --registry say different things; write one of them"],
    ],
    [
      ["check", "--all", "--config", "/srv/dewy.toml"],
      ["Error: --all and --config say different things; write one of them"],
    ],
    [["check", "--slot", "blue"], ["Error: --slot goes with --registry; the agent knows its own"]],
    [["history", "-n", "0"], ['Error: --last "0" is not a number from 1; write for example 7']],
    [["logs", "--level", "loud"], ['Error: --level "loud" is unknown; write debug, info, warn, error']],
    [["deploy", ""], ["Error: TAG is empty; write the tag of a release, such as v1.4.2"]],
    [["rollback", ""], ["Error: TAG is empty; write the tag of a release, such as v1.4.2"]],
    [
      ["deploy", "x".repeat(2000)],
      ["Error: TAG is longer than 256 characters; write the tag of a release, such as v1.4.2"],
    ],
    ...["v1\u001b[31m", "v1\n", "v1 2", "v1\u202e"].map((tag): [string[], string[]] => [
      ["deploy", tag],
      ["Error: TAG has a character in it that no tag has; write the tag of a release, such as v1.4.2"],
    ]),
    [
      ["hold", "--until", "99999h"],
      [
        'Error: --until "99999h" is more than ten years from now; name an earlier time; without --until it lasts until `dewy resume`',
      ],
    ],
    [
      ["hold", "--until", "soon", "--reason", "x".repeat(501)],
      [
        'Error: --until "soon" is no time; write 17:00, 2026-12-01T08:00 or 2h',
        "Error: --reason is longer than 500 characters",
      ],
    ],
  ])("%j is refused", async (argv, errors) => {
    expect(await dewy(argv)).toMatchObject({ code: 1, errors, ran: null });
  });
});
