import { afterEach, describe, expect, test } from "bun:test";
import { showContainers } from "../../src/cli/operator/container-list.ts";
import { printable, renderJson, renderTable, renderTime } from "../../src/cli/operator/render.ts";
import { agentWith, containerView, originalContainer } from "../admin/fixture.ts";
import { HttpHost } from "../support/http-host.ts";

const zone = process.env["TZ"];
afterEach(() => inZone(zone));

function inZone(name: string | undefined): void {
  if (name === undefined) delete process.env["TZ"];
  else process.env["TZ"] = name;
}

async function list(ports: readonly number[], json = false) {
  let out = "";
  const warnings: string[] = [];
  const code = await showContainers(
    { json, ports },
    (text) => {
      out += text;
    },
    (text) => void warnings.push(text),
  );
  return { code, out, warnings };
}

async function originalAgent(...containers: readonly unknown[]) {
  const reply = {
    status: 200,
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ containers }),
  };
  const host = await HttpHost.start(() => reply);
  return Object.assign(host, { port: Number(new URL(host.origin).port) });
}

describe("the table", () => {
  test("has the original's columns, over all agents", async () => {
    inZone("UTC");
    await using admin = agentWith(
      containerView({ id: "1".repeat(64), name: "shop-1736936999-1", address: "127.0.0.1:9001" }),
      containerView({ id: "2".repeat(64), name: "shop-1736936999-0" }),
      containerView({ id: "3".repeat(64), name: "shop-1736936999-2", address: null, deployedAt: null }),
    );
    await using original = await originalAgent(originalContainer());
    const { code, out, warnings } = await list([admin.port, original.port]);
    expect(code).toBe(0);
    expect(warnings).toEqual([]);
    expect(out).toBe(
      [
        "UPSTREAM           DEPLOY TIME            NAME",
        "127.0.0.1:49200    2025-01-15 09:30:00    blog-1736933400-1",
        "127.0.0.1:49152    2025-01-15 10:30:00    shop-1736936999-0",
        "127.0.0.1:9001     2025-01-15 10:30:00    shop-1736936999-1",
        "-                  -                      shop-1736936999-2",
        "",
      ].join("\n"),
    );
  });

  test("of no containers says so", async () => {
    await using admin = agentWith();
    expect((await list([admin.port])).out).toBe("No containers found.\n");
  });
});

describe("the JSON", () => {
  test("is an array of all that is known", async () => {
    await using admin = agentWith(containerView());
    const { code, out } = await list([admin.port], true);
    expect(code).toBe(0);
    expect(out).toBe(`[
  {
    "id": "${"ab".repeat(32)}",
    "name": "shop-1736936999-0",
    "image": "ghcr.io/acme/shop:v1.2.3",
    "status": "running",
    "ip_port": "127.0.0.1:49152",
    "started_at": "2025-01-15T10:29:58.000Z",
    "deployed_at": "2025-01-15T10:30:00.000Z",
    "labels": {
      "dewy.managed": "true",
      "dewy.app": "shop"
    },
    "replica": 0,
    "version": "v1.2.3",
    "state": "serving",
    "seen": "GET http://127.0.0.1:49152/up: 200",
    "connections": 7,
    "health": "none",
    "admin_port": ${admin.port}
  }
]
`);
  });

  test("of no containers is empty", async () => {
    await using admin = agentWith();
    expect((await list([admin.port], true)).out).toBe("[]\n");
  });

  test("never carries what a terminal would act on, and loses nothing", async () => {
    const hostile = "\u001b]0;owned\u0007\u009b2J\u007f\u202e\u2028\r\n\u{e0041}é日本";
    await using admin = agentWith(containerView({ image: hostile, labels: { [hostile]: hostile } }));
    const { out } = await list([admin.port], true);
    expect(out.replaceAll("\n", "")).not.toMatch(/[\p{C}\u2028\u2029]/u);
    expect(out).toContain("é日本");
    expect(JSON.parse(out)).toMatchObject([{ image: hostile, labels: { [hostile]: hostile } }]);
  });
});

test("an agent that hangs is warned of, and the others are shown", async () => {
  await using silent = await originalAgent();
  silent.fail({ hang: true });
  await using admin = agentWith(containerView());
  const { code, out, warnings } = await list([silent.port, admin.port], true);
  expect(code).toBe(0);
  expect(JSON.parse(out)).toHaveLength(1);
  expect(warnings).toEqual([
    `Warning: port ${silent.port} did not answer in time; an agent there is not in the list\n`,
  ]);
});

describe("a time", () => {
  test.each<[string, string, string]>([
    ["UTC", "2025-01-15T10:30:00.999Z", "2025-01-15 10:30:00"],
    ["Asia/Tokyo", "2025-01-15T10:30:00.000Z", "2025-01-15 19:30:00"],
    ["America/New_York", "2025-01-01T03:00:00.000Z", "2024-12-31 22:00:00"],
    ["America/New_York", "2025-07-01T03:00:00.000Z", "2025-06-30 23:00:00"],
    ["Asia/Kathmandu", "2025-01-15T10:30:00.000Z", "2025-01-15 16:15:00"],
  ])("in %s of %s is %s", (name, iso, text) => {
    inZone(name);
    expect(renderTime(new Date(iso))).toBe(text);
  });
});

describe("text from outside", () => {
  test.each<[string, string]>([
    ["plain", "plain"],
    ["é日本 🙂", "é日本 🙂"],
    ["\u001b[31mred", "\\u001b[31mred"],
    ["a\nb\tc\rd", "a\\u000ab\\u0009c\\u000dd"],
    ["\u007f\u0085\u009b", "\\u007f\\u0085\\u009b"],
    ["\u202egpj.exe", "\\u202egpj.exe"],
    ["\u200b\ufeff", "\\u200b\\ufeff"],
    ["\u{e0041}", "\\udb40\\udc41"],
    ["\ud800", "\ufffd"],
  ])("%j is shown as %j", (text, shown) => {
    expect(printable(text)).toBe(shown);
  });

  test("stays in its cell", () => {
    const rows = [
      ["\u001b[2J", "x\ny"],
      ["", "z"],
    ];
    expect(renderTable(["A", "B"], rows)).toBe(
      ["A            B", "\\u001b[2J    x\\u000ay", "-            z", ""].join("\n"),
    );
  });

  test("stays in its string", () => {
    expect(renderJson(["a\u009bb"])).toBe('[\n  "a\\u009bb"\n]\n');
  });
});
