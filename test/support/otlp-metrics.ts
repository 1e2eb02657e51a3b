import { BinaryReader, WireType } from "@bufbuild/protobuf/wire";

/**
 * ExportMetricsServiceRequest, as far as dewy sends it; field numbers from opentelemetry/proto/metrics/v1/metrics.proto
 * and its neighbours (https://github.com/open-telemetry/opentelemetry-proto).
 */
export interface ReceivedMetric {
  readonly name: string;
  readonly description: string;
  readonly unit: string;
  readonly kind: "gauge" | "sum" | "histogram";
  readonly monotonic: boolean;
  /** 2: cumulative. */
  readonly temporality: number;
  readonly points: readonly ReceivedPoint[];
}

export interface ReceivedPoint {
  readonly attributes: Readonly<Record<string, string | number>>;
  readonly startNanos: bigint;
  readonly timeNanos: bigint;
  /** Of a histogram: how many. */
  readonly value: number;
  readonly isInteger: boolean;
  readonly sum: number;
  readonly bounds: readonly number[];
  readonly counts: readonly number[];
}

export interface ReceivedExport {
  readonly resource: Readonly<Record<string, string | number>>;
  readonly scopes: readonly string[];
  readonly metrics: readonly ReceivedMetric[];
}

type Fields = ReadonlyMap<number, readonly (Uint8Array | bigint | number)[]>;

export function decodeExport(bytes: Uint8Array): ReceivedExport {
  const resources = messages(fieldsOf(bytes), 1);
  const scopes = resources.flatMap((resource) => messages(resource, 2));
  return {
    resource: attributesOf(
      resources.flatMap((resource) => messages(resource, 1)),
      1,
    ),
    scopes: scopes.flatMap((scope) => messages(scope, 1)).map((scope) => text(scope, 1)),
    metrics: scopes.flatMap((scope) => messages(scope, 2)).map(metricOf),
  };
}

function metricOf(metric: Fields): ReceivedMetric {
  const kind = metric.has(5) ? "gauge" : metric.has(7) ? "sum" : "histogram";
  const [data = new Map()] = messages(metric, { gauge: 5, sum: 7, histogram: 9 }[kind]);
  return {
    name: text(metric, 1),
    description: text(metric, 2),
    unit: text(metric, 3),
    kind,
    monotonic: Number(one(data, 3) ?? 0) === 1,
    temporality: Number(one(data, 2) ?? 0),
    points: messages(data, 1).map(kind === "histogram" ? histogramPoint : numberPoint),
  };
}

function numberPoint(point: Fields): ReceivedPoint {
  const whole = one(point, 6);
  return {
    ...times(point),
    attributes: attributesOf([point], 7),
    value: whole === undefined ? double(one(point, 4)) : Number(BigInt.asIntN(64, BigInt(asBits(whole)))),
    isInteger: whole !== undefined,
    sum: 0,
    bounds: [],
    counts: [],
  };
}

function histogramPoint(point: Fields): ReceivedPoint {
  return {
    ...times(point),
    attributes: attributesOf([point], 9),
    value: Number(asBits(one(point, 4) ?? 0n)),
    isInteger: true,
    sum: double(one(point, 5)),
    counts: packed(one(point, 6)).map(Number),
    bounds: packed(one(point, 7)).map(double),
  };
}

function times(point: Fields) {
  return { startNanos: asBits(one(point, 2) ?? 0n), timeNanos: asBits(one(point, 3) ?? 0n) };
}

function attributesOf(holders: readonly Fields[], field: number): Record<string, string | number> {
  const pairs = holders.flatMap((holder) => messages(holder, field));
  return Object.fromEntries(
    pairs.map((pair) => {
      const [value = new Map()] = messages(pair, 2);
      return [text(pair, 1), value.has(1) ? text(value, 1) : Number(one(value, 3))];
    }),
  );
}

function fieldsOf(bytes: Uint8Array): Fields {
  const reader = new BinaryReader(bytes);
  const fields = new Map<number, (Uint8Array | bigint | number)[]>();
  while (reader.pos < reader.len) {
    const [number, type] = reader.tag();
    const values = fields.get(number) ?? [];
    fields.set(number, values);
    if (type === WireType.LengthDelimited) values.push(reader.bytes());
    else if (type === WireType.Varint) values.push(BigInt(reader.uint64()));
    else if (type === WireType.Bit64) values.push(BigInt(reader.fixed64()));
    else if (type === WireType.Bit32) values.push(reader.fixed32());
    else throw new Error(`wire type ${type}`);
  }
  return fields;
}

function one(fields: Fields, number: number): Uint8Array | bigint | number | undefined {
  return fields.get(number)?.at(-1);
}

function messages(fields: Fields, number: number): Fields[] {
  return (fields.get(number) ?? []).map((value) => fieldsOf(value as Uint8Array));
}

function text(fields: Fields, number: number): string {
  const value = one(fields, number);
  return value instanceof Uint8Array ? new TextDecoder().decode(value) : "";
}

function asBits(value: Uint8Array | bigint | number): bigint {
  if (value instanceof Uint8Array) throw new Error("a number was expected");
  return BigInt(value);
}

function double(value: Uint8Array | bigint | number | undefined): number {
  const view = new DataView(new ArrayBuffer(8));
  view.setBigUint64(0, asBits(value ?? 0n));
  return view.getFloat64(0);
}

function packed(value: Uint8Array | bigint | number | undefined): bigint[] {
  if (!(value instanceof Uint8Array)) return [];
  const view = new DataView(value.buffer, value.byteOffset, value.byteLength);
  return Array.from({ length: value.byteLength / 8 }, (_, index) => view.getBigUint64(index * 8, true));
}
