import { describe, expect, test } from "bun:test";
import { AdminServer, type AdminSource, openAdminApi } from "../../src/admin/server.ts";
import { DewyError } from "../../src/errors.ts";
import { silentLog } from "../../src/log.ts";
import { freePort } from "../support/free-port.ts";
import { recordingLog } from "../support/recording.ts";
import { agentWith, anyPort, containerView, exchange, source, statusView } from "./fixture.ts";

describe("the answers", () => {
  test("for containers have the original's fields and the new ones", async () => {
    await using admin = agentWith(
      containerView(),
      containerView({
        id: "ef".repeat(32),
        address: null,
        startedAt: null,
        deployedAt: null,
        replica: null,
        version: null,
        state: "stopped",
        connections: 0,
      }),
    );
    const response = await fetch(`${admin.origin}/api/containers`);
    expect(response.status).toBe(200);
    expect(response.headers.get("content-type")).toBe("application/json");
    expect(await response.json()).toEqual({
      containers: [
        {
          id: "ab".repeat(32),
          name: "shop-1736936999-0",
          image: "ghcr.io/acme/shop:v1.2.3",
          status: "running",
          ip_port: "127.0.0.1:49152",
          started_at: "2025-01-15T10:29:58.000Z",
          deployed_at: "2025-01-15T10:30:00.000Z",
          labels: { "dewy.managed": "true", "dewy.app": "shop" },
          replica: 0,
          version: "v1.2.3",
          state: "serving",
          seen: "GET http://127.0.0.1:49152/up: 200",
          connections: 7,
          health: "none",
        },
        expect.objectContaining({
          ip_port: "",
          started_at: null,
          deployed_at: null,
          replica: null,
          version: null,
          state: "stopped",
          connections: 0,
        }),
      ],
    });
  });

  test("for the status have the original's fields and the new ones", async () => {
    await using admin = agentWith();
    expect(await (await fetch(`${admin.origin}/api/status?pretty`)).json()).toEqual({
      name: "shop",
      command: "container",
      current_version: "v1.2.3",
      proxy_backends: 3,
      is_running: true,
      root: "/srv/shop",
      pid: 4711,
      desired_replicas: 3,
      trouble: null,
    });
  });

  test("for the status tell what is wrong", async () => {
    const troubled = { ...source(), status: () => ({ ...statusView, trouble: "it exited with code 1" }) };
    await using admin = AdminServer.open(anyPort, troubled, silentLog);
    const answer = await (await fetch(`${admin.origin}/api/status`)).json();
    expect(answer).toMatchObject({ trouble: "it exited with code 1" });
  });

  test("before the first deploy say no version as the original does", async () => {
    const status = { ...statusView, currentVersion: null, desiredReplicas: null };
    await using admin = AdminServer.open(anyPort, { ...source(), status: () => status }, silentLog);
    const answer = await (await fetch(`${admin.origin}/api/status`)).json();
    expect(answer).toMatchObject({ current_version: "", desired_replicas: null });
  });

  test("follow the source", async () => {
    let connections = 1;
    const changing = { ...source(), containers: () => [containerView({ connections })] };
    await using admin = AdminServer.open(anyPort, changing, silentLog);
    const ask = async () => (await fetch(`${admin.origin}/api/containers`)).json();
    expect(await ask()).toMatchObject({ containers: [{ connections: 1 }] });
    connections = 2;
    expect(await ask()).toMatchObject({ containers: [{ connections: 2 }] });
  });

  test.each<[string, string, number, string | null]>([
    ["HEAD", "/api/containers", 200, null],
    ["HEAD", "/nothing", 404, null],
    ["POST", "/api/containers", 405, "GET, HEAD"],
    ["DELETE", "/api/status", 405, "GET, HEAD"],
    ["OPTIONS", "/api/status", 405, "GET, HEAD"],
    ["GET", "/", 404, null],
    ["GET", "/api/containers/", 404, null],
    ["GET", "/api/Containers", 404, null],
    ["POST", "/nothing", 404, null],
  ])("to %s %s: %d", async (method, path, status, allow) => {
    await using admin = agentWith(containerView());
    const response = await fetch(`${admin.origin}${path}`, { method });
    expect(response.status).toBe(status);
    expect(response.headers.get("allow")).toBe(allow);
    expect(response.headers.get("content-type")).toBe("application/json");
    const body = await response.text();
    if (method === "HEAD") expect(body).toBe("");
    else expect(JSON.parse(body)).toEqual({ error: expect.any(String) });
  });

  test("are never kept, guessed at or embedded by a browser", async () => {
    await using admin = agentWith();
    const { headers } = await fetch(`${admin.origin}/api/status`);
    expect(headers.get("cache-control")).toBe("no-store");
    expect(headers.get("x-content-type-options")).toBe("nosniff");
    expect(headers.get("cross-origin-resource-policy")).toBe("same-origin");
    expect(headers.get("access-control-allow-origin")).toBeNull();
  });

  test("to what breaks inside tell nothing of it, and the log does", async () => {
    const log = recordingLog();
    const broken: AdminSource = {
      ...source(),
      containers: () => {
        throw new Error("no such thing as password=hunter2");
      },
    };
    await using admin = AdminServer.open(anyPort, broken, log);
    const response = await fetch(`${admin.origin}/api/containers`);
    expect(response.status).toBe(500);
    expect(await response.text()).toBe('{"error":"internal error; see the agent\'s log"}\n');
    expect(log.at("warn")).toEqual(["Admin API request failed"]);
    expect((await fetch(`${admin.origin}/api/status`)).status).toBe(200);
  });
});

describe("metrics", () => {
  test("are not found without telemetry", async () => {
    await using admin = agentWith();
    const response = await fetch(`${admin.origin}/metrics`);
    expect(response.status).toBe(404);
    expect(await response.json()).toEqual({ error: expect.stringContaining("--telemetry") });
  });

  test("are the given page", async () => {
    const page = { contentType: "text/plain; version=0.0.4", body: "dewy_proxy_backends 3\n" };
    await using admin = AdminServer.open(anyPort, { ...source(), metrics: async () => page }, silentLog);
    const response = await fetch(`${admin.origin}/metrics`);
    expect(response.headers.get("content-type")).toBe(page.contentType);
    expect(await response.text()).toBe(page.body);
    expect((await fetch(`${admin.origin}/metrics`, { method: "POST" })).status).toBe(405);
  });
});

describe("a Host", () => {
  test.each<[string, number]>([
    ["127.0.0.1:PORT", 200],
    ["localhost:PORT", 200],
    ["LocalHost:PORT", 200],
    ["[::1]:PORT", 200],
    ["127.0.0.1", 403],
    ["localhost", 403],
    ["127.0.0.1:1", 403],
    ["127.0.0.1:PORT0", 403],
    ["evil.example:PORT", 403],
    ["127.0.0.1.evil.example:PORT", 403],
    ["localhost.evil.example:PORT", 403],
    ["evil-localhost:PORT", 403],
    ["0.0.0.0:PORT", 403],
    ["127.0.0.2:PORT", 403],
    ["user@127.0.0.1:PORT", 403],
    ["[::ffff:127.0.0.1]:PORT", 403],
    ["127.0.0.1:PORT, evil.example", 403],
    ["", 403],
  ])("of %j: %d", async (host, status) => {
    await using admin = agentWith();
    const head = `Host: ${host.replace("PORT", String(admin.port))}\r\nConnection: close\r\n\r\n`;
    const answer = await exchange(admin.port, `GET /api/status HTTP/1.1\r\n${head}`);
    expect(answer).toStartWith(`HTTP/1.1 ${status} `);
    expect(answer.includes("/srv/shop")).toBe(status === 200);
  });

  test.each<[string, string]>([
    ["given twice", "GET /api/status HTTP/1.1\r\nHost: 127.0.0.1:PORT\r\nHost: evil.example\r\n"],
    ["missing", "GET /api/status HTTP/1.0\r\n"],
    [
      "foreign in an absolute target",
      "GET http://127.0.0.1:PORT/api/status HTTP/1.1\r\nHost: evil.example\r\n",
    ],
  ])("%s is refused", async (_, request) => {
    await using admin = agentWith();
    const head = `${request.replaceAll("PORT", String(admin.port))}Connection: close\r\n\r\n`;
    const answer = await exchange(admin.port, head);
    expect(answer).toStartWith("HTTP/1.1 403 ");
    expect(answer).not.toContain("/srv/shop");
  });
});

describe("a web page", () => {
  test.each(["https://evil.example", "http://127.0.0.1:8080", "null", ""])(
    "at %j is refused",
    async (origin) => {
      await using admin = agentWith();
      const head = `Host: 127.0.0.1:${admin.port}\r\nOrigin: ${origin}\r\nConnection: close\r\n\r\n`;
      expect(await exchange(admin.port, `GET /api/status HTTP/1.1\r\n${head}`)).toStartWith("HTTP/1.1 403 ");
    },
  );

  test("gets no preflight", async () => {
    await using admin = agentWith();
    const headers = { Origin: "https://evil.example", "Access-Control-Request-Method": "GET" };
    const response = await fetch(`${admin.origin}/api/status`, { method: "OPTIONS", headers });
    expect(response.status).toBe(403);
    expect(response.headers.get("access-control-allow-origin")).toBeNull();
  });
});

describe("what a client sends", () => {
  test("is refused past its size", async () => {
    await using admin = agentWith();
    const head = `Host: 127.0.0.1:${admin.port}\r\nContent-Length: 1000000\r\nConnection: close\r\n\r\n`;
    expect(await exchange(admin.port, `POST /api/status HTTP/1.1\r\n${head}`)).toStartWith("HTTP/1.1 413 ");
  });
});

describe("the port", () => {
  test("is on the loopback address only", async () => {
    await using admin = agentWith();
    const hex = admin.port.toString(16).toUpperCase().padStart(4, "0");
    const listening = async (table: string) =>
      (await Bun.file(table).text())
        .split("\n")
        .filter((row) => row.includes(`:${hex} `) && / 0A /.test(row));
    expect(await listening("/proc/net/tcp")).toHaveLength(1);
    expect((await listening("/proc/net/tcp"))[0]).toContain(`0100007F:${hex}`);
    expect(await listening("/proc/net/tcp6")).toEqual([]);
  });

  test("is the next one when it is taken", async () => {
    await using first = agentWith();
    const log = recordingLog();
    await using second = AdminServer.open({ port: first.port, tries: 10 }, source(), log);
    expect(second.port).toBeGreaterThan(first.port);
    expect(second.port).toBeLessThan(first.port + 10);
    expect((await fetch(`${second.origin}/api/status`)).status).toBe(200);
    expect(log.records).toContainEqual({
      level: "info",
      message: "Admin API server started",
      attributes: { address: `http://127.0.0.1:${second.port}` },
    });
  });

  test("taken on all tries is a clear error", async () => {
    await using first = agentWith();
    const open = () => AdminServer.open({ port: first.port, tries: 1 }, source(), silentLog);
    expect(open).toThrow(
      expect.objectContaining({ code: "port-in-use", message: `admin API: port ${first.port} is in use` }),
    );
  });

  test("taken on all tries keeps no app from running", async () => {
    await using first = agentWith();
    const log = recordingLog();
    expect(openAdminApi({ port: first.port, tries: 1 }, source(), log)).toBeNull();
    expect(log.at("warn")).toEqual(["Admin API server unavailable"]);
    expect(log.at("error")).toEqual([]);
  });

  test("written wrongly is the operator's", () => {
    const log = recordingLog();
    expect(() => openAdminApi({ port: -5, tries: 1 }, source(), log)).toThrow(DewyError);
    expect(log.at("warn")).toEqual([]);
  });

  test("tries end with the last port there is", async () => {
    const open = () => AdminServer.open({ port: 65_535, tries: 10 }, source(), silentLog);
    await using _last = open();
    expect(open).toThrow(expect.objectContaining({ code: "port-in-use" }));
  });

  test("is free again at once, with a connection still open", async () => {
    const { port } = await (async () => {
      await using admin = AdminServer.open({ port: freePort(), tries: 1 }, source(), silentLog);
      await (await fetch(`${admin.origin}/api/status`)).text(); // fetch keeps the connection
      return { port: admin.port };
    })();
    await using next = AdminServer.open({ port, tries: 1 }, source(), silentLog);
    expect(next.port).toBe(port);
  });

  test("is not inherited by children", async () => {
    await using admin = agentWith();
    const rows = await Bun.file("/proc/net/tcp").text();
    const hex = admin.port.toString(16).toUpperCase().padStart(4, "0");
    const inode = rows
      .split("\n")
      .find((row) => row.includes(`0100007F:${hex} 00000000:0000 0A`))
      ?.trim()
      .split(/\s+/)[9];
    expect(inode).toMatch(/^\d+$/);
    const child = Bun.spawnSync(["ls", "-l", "/proc/self/fd"]).stdout.toString();
    expect(child).not.toContain(`socket:[${inode}]`);
  });
});
