import { describe, expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";

/** One import, as it stands in a file of src. */
interface Import {
  /** Both relative to src; `to` is the package's name where it is none of ours. */
  readonly from: string;
  readonly to: string;
  readonly typesOnly: boolean;
  readonly ours: boolean;
}

const files = [...new Bun.Glob("**/*.ts").scanSync("src")].filter((path) => !path.endsWith(".d.ts")).sort();
const sources = new Map(files.map((path) => [path, readFileSync(join("src", path), "utf8")]));
const imports = [...sources].flatMap(([path, source]) => importsOf(path, source));

/** From the top down; a layer imports only from those below it. */
const layers: readonly (readonly string[])[] = [
  ["main"],
  ["cli"],
  ["drivers"],
  ["admin", "control"],
  ["agent"],
  ["activate"],
  [
    "registry",
    "artifact",
    "cache",
    "container",
    "process-engine",
    "proxy",
    "supervisor",
    "notify",
    "telemetry",
    "service-manager",
  ],
  ["replicas", "process"],
  ["store", "oci", "grpc", "health"],
  ["http"],
  ["release", "schedule"],
  ["util", "log", "errors", "events", "version"],
];

/** Imports the order does not allow, each with its reason. Only of types: at run time there is no edge. */
const exceptions: readonly { from: RegExp; to: string; why: string }[] = [
  {
    from: /^events\.ts$/,
    to: "release/release.ts",
    why: "events carry the domain's tags, digests and commands",
  },
];

/** Who may read the configuration; all other parts get plain options. */
const configReaders: readonly string[] = ["main", "cli", "drivers", "config"];
/** What the configuration is made of, beside the base. */
const configParts: readonly RegExp[] = [
  /^supervisor\/listen-spec\.ts$/,
  /^container\/run-options\//,
  /^release\//,
  /^schedule\//,
  /^config\//,
];

/** Package → the files that may import it. */
const vendors: Readonly<Record<string, readonly string[]>> = {
  "@aws-sdk/client-s3": [
    "store/s3/bucket.ts",
    "store/s3/client.ts",
    "store/s3/list-page.ts",
    "store/s3/list.ts",
    "store/s3/multipart.ts",
    "store/s3/object-stream.ts",
    "store/s3/own-write.ts",
    "store/s3/read.ts",
    "store/s3/write.ts",
  ],
  "@bufbuild/protobuf": [
    "registry/grpc/answer.ts",
    "registry/grpc/registry.ts",
    "registry/grpc/registry_pb.ts",
    "registry/grpc/rpc-status_pb.ts",
    "registry/grpc/wait.ts",
  ],
  "@google-cloud/storage": ["store/gcs/library.ts", "store/gcs/sdk.ts"],
  "@grpc/grpc-js": ["grpc/dialer.ts", "registry/grpc/channel.ts", "telemetry/otlp.ts"],
  "@octokit/auth-app": ["registry/github/auth.ts"],
  "@opentelemetry/api": ["telemetry/collected.ts"],
  "@opentelemetry/exporter-metrics-otlp-grpc": ["telemetry/otlp.ts"],
  "@opentelemetry/exporter-prometheus": ["telemetry/prometheus.ts"],
  "@opentelemetry/resources": ["telemetry/collected.ts", "telemetry/otel.ts"],
  "@opentelemetry/sdk-metrics": [
    "telemetry/collected.ts",
    "telemetry/collector.ts",
    "telemetry/otel.ts",
    "telemetry/otlp.ts",
    "telemetry/prometheus.ts",
  ],
  "@slack/web-api": ["notify/slack/client.ts"],
  citty: ["cli/dispatch.ts"],
  fflate: ["artifact/extract/zip-data.ts"],
  nodemailer: ["notify/mail/delivery.ts"],
  semver: ["release/calver.ts", "release/semver.ts", "release/version.ts"],
  tar: ["artifact/extract/tar-header.ts"],
  "unbzip2-stream": ["artifact/extract/bzip2.ts"],
  valibot: [
    "admin/record.ts",
    "admin/wire.ts",
    "agent/state.ts",
    "cache/chunked/head.ts",
    "cache/consul/wire.ts",
    "cache/lease-record.ts",
    "config/archives.ts",
    "config/common.ts",
    "config/container.ts",
    "config/health.ts",
    "config/load.ts",
    "config/replicated.ts",
    "config/schema.ts",
    "container/engine/wire.ts",
    "control/record.ts",
    "control/wire.ts",
    "notify/cursor.ts",
    "notify/limiter-file.ts",
    "notify/notice-file.ts",
    "oci/wire.ts",
    "process-engine/record.ts",
    "registry/github/auth.ts",
    "registry/github/wire.ts",
    "registry/shared/entry.ts",
    "store/gcs/wire.ts",
    "supervisor/record.ts",
  ],
  "xz-decompress": ["artifact/extract/xz.ts"],
};

const maxLines = 250;

describe("the scanner", () => {
  test.each<[string, Partial<Import>[]]>([
    ['import { a } from "../log.ts";', [{ to: "log.ts", typesOnly: false }]],
    ['import {\n  a,\n  type B,\n} from "./b.ts";', [{ to: "agent/b.ts", typesOnly: false }]],
    ['import type { A } from "./b.ts";', [{ to: "agent/b.ts", typesOnly: true }]],
    ['import { type A, type B } from "./b.ts";', [{ to: "agent/b.ts", typesOnly: true }]],
    ['import "./b.ts";', [{ to: "agent/b.ts", typesOnly: false }]],
    ['import * as v from "valibot";', [{ to: "valibot", ours: false, typesOnly: false }]],
    ['import a = require("./b.ts");', [{ to: "agent/b.ts", typesOnly: false }]],
    ['const { a } = await import("./b.ts");', [{ to: "agent/b.ts", typesOnly: false }]],
    ['export { a } from "./b.ts";', [{ to: "agent/b.ts", typesOnly: false }]],
    ['// import { a } from "./b.ts";', []],
    ['/** import { a } from "./b.ts"; */', []],
  ])("sees %j", (source, found) => {
    expect(importsOf("agent/a.ts", source)).toMatchObject(found);
    expect(importsOf("agent/a.ts", source)).toHaveLength(found.length);
  });

  test.each<[string, string, boolean]>([
    ["cli/run/run.ts", "agent/agent.ts", true],
    ["agent/agent.ts", "cli/run/run.ts", false],
    ["agent/deploy/deploy.ts", "registry/registry.ts", true],
    ["cache/object.ts", "registry/bucket/registry.ts", false],
    ["cache/object.ts", "store/store.ts", true],
    ["registry/file.ts", "artifact/download.ts", false],
    ["http/client.ts", "log.ts", true],
    ["http/client.ts", "registry/registry.ts", false],
    ["newcomer/x.ts", "log.ts", false],
  ])("%s → %s: %p", (from, to, allowed) => {
    expect(isAllowed({ from, to, typesOnly: false, ours: true })).toBe(allowed);
  });
});

describe("imports", () => {
  test("go one way: from a layer to those below it", () => {
    const wrong = imports.filter((edge) => edge.ours && !isAllowed(edge));
    expect(wrong.map(describeEdge)).toEqual([]);
  });

  test("of the configuration are the command line's and the drivers'", () => {
    const readers = imports.filter(({ ours, to }) => ours && partOf(to) === "config").map(({ from }) => from);
    expect(readers.filter((from) => !configReaders.includes(partOf(from)))).toEqual([]);
  });

  test("in the configuration are of what it describes", () => {
    const wrong = imports.filter(
      ({ from, to, ours }) =>
        ours && partOf(from) === "config" && !isBase(to) && !configParts.some((part) => part.test(to)),
    );
    expect(wrong.map(describeEdge)).toEqual([]);
  });

  test("every exception is still needed", () => {
    const unused = exceptions.filter(
      ({ from, to }) => !imports.some((edge) => from.test(edge.from) && edge.to === to),
    );
    expect(unused).toEqual([]);
  });

  test("make no circle", () => {
    const seen = new Set<string>();
    const circles: string[] = [];
    const visit = (path: string, trail: readonly string[]): void => {
      if (trail.includes(path)) circles.push([...trail.slice(trail.indexOf(path)), path].join(" → "));
      if (seen.has(path)) return;
      seen.add(path);
      for (const { to } of runtimeImportsOf(path)) visit(to, [...trail, path]);
    };
    for (const path of files) visit(path, []);
    expect(circles).toEqual([]);
  });

  test("name files that are there, with their suffix", () => {
    const missing = imports.filter(({ ours, to }) => ours && !existsSync(join("src", to)));
    expect(missing.map(describeEdge)).toEqual([]);
  });

  test("of packages stay in the files that need them", () => {
    const found = imports.filter(({ ours, to }) => !ours && !/^(node|bun):|^bun$|\.json$/.test(to));
    const wrong = found.filter(({ from, to }) => !vendors[packageOf(to)]?.includes(from));
    expect(wrong.map(describeEdge)).toEqual([]);
    const table = Object.entries(vendors).flatMap(([name, allowed]) =>
      allowed.map((from) => `${from} → ${name}`),
    );
    const used = new Set(found.map(({ from, to }) => `${from} → ${packageOf(to)}`));
    expect(table.filter((entry) => !used.has(entry))).toEqual([]);
  });

  test("of all dependencies exist, and only of them", () => {
    const { dependencies } = JSON.parse(readFileSync("package.json", "utf8"));
    expect(Object.keys(vendors).sort()).toEqual(Object.keys(dependencies).sort());
  });
});

describe("every implementation", () => {
  const reachable = reachableFrom(files.filter((path) => partOf(path) === "drivers"));
  const drivers = files.filter(
    (path) =>
      ["registry", "cache", "store", "notify"].includes(partOf(path)) &&
      /export (async )?(function|const) open[A-Z]/.test(sources.get(path) ?? ""),
  );

  test("is found by the rule of this test", () => {
    expect(drivers).toContain("cache/object.ts");
    expect(drivers).toContain("registry/bucket/registry.ts");
    expect(drivers).toContain("store/local.ts");
  });

  test.each(drivers)("%s is reached from the drivers", (path) => {
    expect(reachable).toContain(path);
  });

  test("is named nowhere else", () => {
    const elsewhere = imports.filter(
      ({ from, to, typesOnly }) =>
        drivers.includes(to) && !typesOnly && partOf(from) !== "drivers" && partOf(from) !== partOf(to),
    );
    expect(elsewhere.map(describeEdge)).toEqual([]);
  });
});

describe("the code", () => {
  test(`has no file of more than ${maxLines} lines`, () => {
    const long = [...sources].filter(([, source]) => source.trimEnd().split("\n").length > maxLines);
    expect(long.map(([path]) => path)).toEqual([]);
  });

  test.each<[string, RegExp, readonly string[]]>([
    ["default exports", /\bexport default\b|\bas default\b/, []],
    ["enums", /\benum \w+ \{/, []],
    ["casts to any", /\bas any\b|: any\b|<any>/, []],
    ["casts through unknown", /\bas unknown as\b/, []],
    ["silenced type errors", /@ts-(ignore|nocheck|expect-error)/, []],
    ["non-null assertions", /[\w)\]]!(?=[.,;)\]]|\[|$)/m, []],
    ["process.exit", /\bprocess\.exit\b/, ["main.ts"]],
    ["console", /\bconsole\./, []],
    [
      "names that say nothing",
      /\bclass \w*(Manager|Helper|Service|Utils?)\b/,
      // `podman system service` is its name.
      ["container/engine/service.ts"],
    ],
    ["branches on a class's name, which minifying changes", /constructor\.name/, []],
  ])("has no %s", (_, pattern, allowed) => {
    const found = [...sources].filter(
      ([path, source]) => !allowed.includes(path) && pattern.test(withoutComments(source)),
    );
    expect(found.map(([path]) => path)).toEqual([]);
  });

  test("has no barrels", () => {
    expect(files.filter((path) => /(^|\/)index\.ts$/.test(path))).toEqual([]);
    expect(
      [...sources].filter(([, source]) => /^export .* from "/m.test(source)).map(([path]) => path),
    ).toEqual([]);
  });
});

function importsOf(from: string, source: string): Import[] {
  const statements =
    /^(?:import|export)\s([^"';]*?)\sfrom\s"([^"]+)"|\b(?:import|require)\("([^"]+)"\)|^import\s"([^"]+)"/gm;
  return [...withoutComments(source).matchAll(statements)].map((match) => {
    const target = match[2] ?? match[3] ?? match[4] ?? "";
    const ours = target.startsWith(".") && target.endsWith(".ts");
    const to = ours ? normalize(join(dirname(from), target)) : target;
    return { from, to, ours, typesOnly: match[1] !== undefined && namesOnlyTypes(match[1]) };
  });
}

/** `type { A }`, or `{ type A, type B }`. */
function namesOnlyTypes(clause: string): boolean {
  if (/^type\s/.test(clause)) return true;
  const names = /^\{([^}]*)\}$/.exec(clause.trim())?.[1]?.split(",") ?? [""];
  return (
    names.filter((name) => name.trim() !== "").every((name) => /^\s*type\s/.test(name)) &&
    names.length > 0 &&
    names[0] !== ""
  );
}

function withoutComments(source: string): string {
  return source.replace(/\/\*[\s\S]*?\*\//g, "").replace(/(^|\s)\/\/.*$/gm, "");
}

/** `cache/file.ts` → `cache`, `log.ts` → `log`. */
function partOf(path: string): string {
  return (path.split("/")[0] ?? "").replace(/\.ts$/, "");
}

function layerOf(path: string): number {
  return layers.findIndex((layer) => layer.includes(partOf(path)));
}

function isBase(path: string): boolean {
  return layerOf(path) === layers.length - 1;
}

function isAllowed(edge: Import): boolean {
  const { from, to, typesOnly } = edge;
  if (partOf(from) === partOf(to)) return true;
  if (partOf(from) === "config" || partOf(to) === "config") return true; // has tests of its own
  if (typesOnly && exceptions.some((each) => each.from.test(from) && each.to === to)) return true;
  if (layerOf(from) < 0 || layerOf(to) < 0) return false;
  return isBase(from) ? isBase(to) : layerOf(from) < layerOf(to);
}

function runtimeImportsOf(path: string): Import[] {
  return imports.filter(({ from, ours, typesOnly }) => from === path && ours && !typesOnly);
}

function reachableFrom(starts: readonly string[]): Set<string> {
  const reached = new Set(starts);
  for (const path of reached) for (const { to } of runtimeImportsOf(path)) reached.add(to);
  return reached;
}

function packageOf(specifier: string): string {
  const [first = "", second = ""] = specifier.split("/");
  return first.startsWith("@") ? `${first}/${second}` : first;
}

function describeEdge({ from, to }: Import): string {
  return `${from} → ${to}`;
}
