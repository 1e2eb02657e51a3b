import { describe, expect, test } from "bun:test";
import { freePort } from "../support/free-port.ts";
import { down, exporting } from "../support/otlp-exporter.ts";
import { OtlpReceiver } from "../support/otlp-receiver.ts";
import { until } from "../support/until.ts";

describe("the end", () => {
  test("of one whose collector is gone is at once", async () => {
    const telemetry = await exporting(freePort());
    await telemetry.logged(down);
    await telemetry[Symbol.asyncDispose]();
    expect(telemetry.log.at("warn")).toEqual([down]);
  });

  test("of one whose collector hangs comes when somebody is in a hurry", async () => {
    await using collector = await OtlpReceiver.start();
    const telemetry = await exporting(collector.port, { env: { OTEL_METRIC_EXPORT_INTERVAL: "3600000" } });
    collector.mood = "hangs";
    const end = telemetry[Symbol.asyncDispose]();
    await until("the last export is under way", () => collector.calls === 1);
    telemetry.hurry.abort();
    await end;
    expect(telemetry.log.at("warn")).toEqual(["Last metrics not sent: the collector took too long"]);
  });

  test("of one whose collector hangs comes by itself, within its bound", async () => {
    await using collector = await OtlpReceiver.start();
    // An hour, were the collector's usual time all that there is.
    const slow = { OTEL_METRIC_EXPORT_INTERVAL: "3600000", OTEL_EXPORTER_OTLP_TIMEOUT: "3600000" };
    const telemetry = await exporting(collector.port, { env: slow });
    collector.mood = "hangs";
    await telemetry[Symbol.asyncDispose]();
    expect(telemetry.log.at("warn")).toEqual(["Last metrics not sent: the collector took too long"]);
  }, 60_000);
});
