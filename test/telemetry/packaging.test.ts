import { describe, expect, test } from "bun:test";
import { startTelemetry } from "../../src/telemetry/otel.ts";
import { FakeClock } from "../support/clock.ts";
import { parseExposition } from "../support/exposition.ts";
import { queries, readAlerts, readDashboard } from "../support/packaging.ts";
import { missingFrom, namesIn } from "../support/promql.ts";
import { recordingLog } from "../support/recording.ts";
import { measureAll } from "../support/telemetry-readings.ts";

/** A page with every instrument; values of labels are made up. */
async function fullPage() {
  await using telemetry = await startTelemetry(
    { otlp: null, version: "v1", resource: {}, env: {} },
    { clock: new FakeClock(), log: recordingLog(), hurry: new AbortController().signal },
  );
  measureAll(telemetry.metrics);
  return parseExposition((await telemetry.page()).body);
}

describe("the reader of queries", () => {
  test("finds metrics, labels and groupings", () => {
    const query = 'sum without (state) (rate(dewy_a{state=~"x|y",instance="z"}[5m])) > 0.5 * dewy_b';
    expect(namesIn(query)).toEqual({
      metrics: ["dewy_a", "dewy_b"],
      matchers: [
        { metric: "dewy_a", label: "state", operator: "=~", value: "x|y" },
        { metric: "dewy_a", label: "instance", operator: "=", value: "z" },
      ],
      groupings: ["state"],
    });
  });

  test("says what is not there", () => {
    const page = parseExposition('# HELP dewy_a A.\n# TYPE dewy_a gauge\ndewy_a{state="x"} 1\n');
    expect(missingFrom(page, 'dewy_a{state="x"}')).toEqual([]);
    expect(missingFrom(page, "max by (instance, state) (dewy_a)")).toEqual([]);
    expect(missingFrom(page, 'dewy_a{state=~"x|y"}')).toEqual(['dewy_a{state="y"}']);
    expect(missingFrom(page, 'dewy_a{reason="x"}')).toEqual(["dewy_a{reason}"]);
    expect(missingFrom(page, "sum by (reason) (dewy_a)")).toEqual(["label reason"]);
    expect(missingFrom(page, "rate(dewy_b[5m])")).toEqual(["dewy_b"]);
    expect(missingFrom(page, "rated(dewy_a[5m])")).toEqual(["rated"]);
  });
});

describe("alerts and dashboard", () => {
  test("name metrics and labels that there are", async () => {
    const page = await fullPage();
    const missing = (await queries()).flatMap(({ where, expr }) =>
      // Which values labels have is seen of running agents.
      missingFrom(page, expr).flatMap((what) => (/="/.test(what) ? [] : [`${where}: ${what}`])),
    );
    expect(missing).toEqual([]);
  });

  test("leave no instrument out", async () => {
    const page = await fullPage();
    const named = new Set((await queries()).flatMap(({ expr }) => namesIn(expr).metrics));
    const unused = [...page.values()].filter(({ samples }) => !samples.some(({ name }) => named.has(name)));
    expect(unused.map(({ name }) => name)).toEqual([]);
  });

  test("have brackets that close", async () => {
    for (const { expr } of await queries()) {
      const depth = [...expr].reduce((open, letter) => {
        const next = open + (letter === "(" ? 1 : 0) - (letter === ")" ? 1 : 0);
        if (next < 0) throw new Error(`closes what is not open: ${expr}`);
        return next;
      }, 0);
      expect([expr, depth]).toEqual([expr, 0]);
    }
  });
});

describe("the alerts", () => {
  test.each([
    "DewyAgentGone",
    "DewyPollsFailing",
    "DewyLastPollTooOld",
    "DewyReleaseQuarantined",
    "DewySupervisorNotRunning",
    "DewyRestartsLooping",
    "DewyReplicasBelowDesired",
    "DewyContainersUnhealthy",
    "DewyProxyErrors",
    "DewyNoBackends",
  ])("have %s", async (name) => {
    expect((await readAlerts()).map(({ alert }) => alert)).toContain(name);
  });

  test("have names of their own, and name labels in their words that their metrics have", async () => {
    const alerts = await readAlerts();
    expect(new Set(alerts.map(({ alert }) => alert)).size).toBe(alerts.length);
    const page = await fullPage();
    for (const { expr, annotations } of alerts) {
      const words = Object.values(annotations).join(" ");
      const labels = [...words.matchAll(/\$labels\.(\w+)/g)].map(([, label = ""]) => label);
      const [metric = ""] = namesIn(expr).metrics;
      expect(labels.flatMap((label) => missingFrom(page, `sum by (${label}) (${metric})`))).toEqual([]);
      expect(
        words.replaceAll(/\{\{ (\$labels\.\w+|\$value( \| humanize(Duration)?)?) \}\}/g, ""),
      ).not.toMatch(/[{}]/);
    }
  });
});

describe("the dashboard", () => {
  test("has panels that neither overlap nor leave the grid, with numbers of their own", async () => {
    const { panels } = await readDashboard();
    expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
    const cells = panels.flatMap(({ gridPos: { x, y, w, h } }) =>
      Array.from({ length: w * h }, (_, cell) => `${x + (cell % w)},${y + Math.floor(cell / w)}`),
    );
    expect(new Set(cells).size).toBe(cells.length);
    expect(panels.every(({ gridPos: { x, w } }) => x + w <= 24)).toBe(true);
  });

  test("names labels in its legends that the query leaves", async () => {
    const { panels } = await readDashboard();
    for (const { targets } of panels) {
      for (const { expr, legendFormat } of targets) {
        const shown = [...legendFormat.matchAll(/\{\{(\w+)\}\}/g)].map(([, label = ""]) => label);
        const { groupings } = namesIn(expr);
        if (groupings.length > 0) expect(groupings).toEqual(expect.arrayContaining(shown));
      }
    }
  });

  test("uses the variables it has", async () => {
    const text = await Bun.file("packaging/grafana/dewy.json").text();
    const { templating } = await readDashboard();
    const used = new Set([...text.matchAll(/\$\{?([a-z]+)\b/g)].map(([, name]) => name));
    expect([...used].sort()).toEqual(templating.list.map(({ name }) => name).sort());
  });
});
