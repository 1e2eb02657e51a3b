import { expect, test } from "bun:test";
import { takeManagerAddress } from "../../src/service-manager/address.ts";

test.each([
  [{}, null],
  [{ NOTIFY_SOCKET: "" }, null],
  [{ NOTIFY_SOCKET: "vsock:2:1234" }, null],
  [{ NOTIFY_SOCKET: "run/notify" }, null],
  [{ NOTIFY_SOCKET: "/run/notify" }, { socket: "/run/notify", watchdogMs: null }],
  [{ NOTIFY_SOCKET: "@abc" }, { socket: "@abc", watchdogMs: null }],
  [
    { NOTIFY_SOCKET: "@abc", WATCHDOG_USEC: "30000000" },
    { socket: "@abc", watchdogMs: 30_000 },
  ],
  [
    { NOTIFY_SOCKET: "@abc", WATCHDOG_USEC: "30000000", WATCHDOG_PID: "7" },
    { socket: "@abc", watchdogMs: 30_000 },
  ],
  [
    { NOTIFY_SOCKET: "@abc", WATCHDOG_USEC: "30000000", WATCHDOG_PID: "8" },
    { socket: "@abc", watchdogMs: null },
  ],
  [
    { NOTIFY_SOCKET: "@abc", WATCHDOG_USEC: "0" },
    { socket: "@abc", watchdogMs: null },
  ],
  [
    { NOTIFY_SOCKET: "@abc", WATCHDOG_USEC: "soon" },
    { socket: "@abc", watchdogMs: null },
  ],
  [{ WATCHDOG_USEC: "30000000" }, null],
])("%j → %j, and nothing of it stays for others", (variables, address) => {
  const env: Record<string, string | undefined> = { ...variables, PATH: "/bin" };
  expect(takeManagerAddress(env, 7)).toEqual(address);
  expect(Object.keys(env)).toEqual(["PATH"]);
});
