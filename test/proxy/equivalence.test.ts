import { expect, test } from "bun:test";
import { randomFrom, startProxy } from "../support/tcp-proxy.ts";
import { play, randomScript, startScriptServer } from "../support/tcp-script.ts";
import { until } from "../support/until.ts";

const seed = Number(process.env["DEWY_SEED"] ?? 20_261_121);
const scripts = process.env["DEWY_FULL"] === "1" ? 1_000 : 60;

test(`${scripts} random conversations look the same with and without the proxy (DEWY_SEED=${seed})`, async () => {
  using server = startScriptServer();
  await using host = startProxy();
  host.admit("a", server.port);
  for (let turn = 0; turn < scripts; turn++) {
    const steps = randomScript(randomFrom(seed + turn));
    const name = `DEWY_SEED=${seed + turn}: ${JSON.stringify(steps)}`;
    const direct = await play(steps, server.port, server).catch((error) => {
      throw new Error(`direct, ${name}`, { cause: error });
    });
    const proxied = await play(steps, host.port, server).catch((error) => {
      throw new Error(`proxied, ${name}`, { cause: error });
    });
    if (!Bun.deepEquals(proxied, direct)) console.error(name);
    expect(proxied).toEqual(direct);
  }
  await until("no connection left", () => host.proxy.stats().connections === 0);
}, 300_000);
