import * as v from "valibot";

/** Prometheus' rule file, as far as dewy uses it; nothing else may be in it. */
const rule = v.strictObject({
  alert: v.pipe(v.string(), v.regex(/^Dewy[A-Za-z]+$/)),
  expr: v.pipe(v.string(), v.minLength(1)),
  for: v.optional(v.pipe(v.string(), v.regex(/^\d+[smhd]$/))),
  labels: v.strictObject({ severity: v.picklist(["critical", "warning"]) }),
  annotations: v.strictObject({ summary: v.string(), description: v.string() }),
});
const ruleFile = v.strictObject({
  groups: v.array(v.strictObject({ name: v.string(), rules: v.array(rule) })),
});

const target = v.object({
  refId: v.string(),
  expr: v.pipe(v.string(), v.minLength(1)),
  legendFormat: v.string(),
});
const gridPos = v.strictObject({ h: v.number(), w: v.number(), x: v.number(), y: v.number() });
const panel = v.object({
  id: v.number(),
  type: v.picklist(["row", "stat", "table", "timeseries"]),
  title: v.pipe(v.string(), v.minLength(1)),
  gridPos,
  targets: v.optional(v.array(target), []),
});
const dashboard = v.object({
  uid: v.string(),
  title: v.string(),
  schemaVersion: v.pipe(v.number(), v.minValue(36)),
  templating: v.object({ list: v.array(v.object({ name: v.string(), type: v.string() })) }),
  annotations: v.object({ list: v.array(v.object({ expr: v.string(), textFormat: v.string() })) }),
  panels: v.pipe(v.array(panel), v.minLength(1)),
});

export async function readAlerts() {
  const { groups } = v.parse(
    ruleFile,
    Bun.YAML.parse(await Bun.file("packaging/prometheus/alerts.yml").text()),
  );
  return groups.flatMap(({ rules }) => rules);
}

export async function readDashboard() {
  return v.parse(dashboard, await Bun.file("packaging/grafana/dewy.json").json());
}

/** Every query of both files, with where it stands. */
export async function queries(): Promise<readonly { readonly where: string; readonly expr: string }[]> {
  const { panels, annotations } = await readDashboard();
  return [
    ...(await readAlerts()).map(({ alert, expr }) => ({ where: alert, expr })),
    ...panels.flatMap(({ title, targets }) => targets.map(({ expr }) => ({ where: title, expr }))),
    ...annotations.list.map(({ expr }) => ({ where: "annotation", expr })),
    { where: "variable", expr: "label_values(dewy_build_info, instance)" },
  ];
}
