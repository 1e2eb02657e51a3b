import { describe, expect, test } from "bun:test";
import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { readCurrent } from "../../src/registry/grpc/answer.ts";
import { CurrentResponseSchema } from "../../src/registry/grpc/registry_pb.ts";
import { answer, artifactUrl } from "./grpc-fixture.ts";

const schemes = ["ghr", "s3", "gs", "https"];

function read(changed: MessageInitShape<typeof CurrentResponseSchema>) {
  const message = create(CurrentResponseSchema, { ...answer, ...changed });
  return readCurrent(toBinary(CurrentResponseSchema, message), schemes, "ask");
}

describe("an answer", () => {
  test.each(["v1.2.3", "1.2.3-rc.1+blue", "2026.11.21", "latest", "main_4f2a~1", "a".repeat(128)])(
    "may have the tag %s: the server chooses",
    (tag) => {
      expect(read({ tag }).release.tag).toBe(tag);
    },
  );

  test.each([
    "",
    "../v1",
    "a/b",
    "a\\b",
    "v1..2",
    ".v1",
    "-v1",
    "v 1",
    "v1\n",
    "v1\u0000",
    "v1\u001b[31m",
    "v\u202e1",
    "vé",
    "a".repeat(129),
  ])("with the tag %j is bad", (tag) => {
    expect(() => read({ tag })).toThrow(expect.objectContaining({ code: "bad-answer" }));
  });

  test.each([
    ["ghr://owner/repo/tag/v1.0.0/app.tar.gz", "app.tar.gz"],
    ["s3://eu-west-1/bucket/prefix/v1.0.0/app.zip", "app.zip"],
    ["gs://bucket/v1.0.0/app.tgz", "app.tgz"],
    ["https://files.example/v1/my%20app%2Blinux.tar.gz", "my app+linux.tar.gz"],
  ])("may have the address %s", (url, name) => {
    const { artifact, files } = read({ artifactUrl: url }).release;
    expect(artifact).toEqual({ name, url, sizeBytes: null, digest: null, revision: url });
    expect(files).toEqual(artifact === null ? [] : [artifact]);
  });

  test.each<[string, RegExp]>([
    ["file:///etc/passwd", /scheme file:/],
    ["http://files.example/app.zip", /scheme http:/],
    ["data:text/plain,app.zip", /scheme data:/],
    ["ftp://files.example/app.zip", /scheme ftp:/],
    ["toString://files.example/app.zip", /scheme tostring:/],
    ["https://user:secret@files.example/app.zip", /credentials/],
    ["s3://key@eu-west-1/bucket/app.zip", /credentials/],
    ["https://files.example/app.zip?sig=secret", /query/],
    ["https://files.example/app.zip#secret", /fragment/],
    ["https://files.example/", /no file name/],
    ["https://files.example/app/", /no file name/],
    ["https://files.example/a%2Fb", /no file name/],
    ["https://files.example/..%2Fb", /no file name/],
    ["https://files.example/a%5Cb", /no file name/],
    ["https://files.example/a%00b", /no file name/],
    ["https://files.example/a%0Ab", /no file name/],
    ["https://files.example/a%zz", /no file name/],
    ["https://files.example/.hidden", /no file name/],
    ["https://files.example/-rf", /no file name/],
    [`https://files.example/${"a".repeat(256)}`, /no file name/],
    [`https://files.example/${"a/".repeat(3000)}b`, /no URL/],
    ["https://files.example\\app.zip", /no URL/],
    ["https://files.example/app.zip\n", /no URL/],
    ["https://files.example/a\u202eb", /no URL/],
    ["app.zip", /no URL/],
  ])("with the address %j is bad", (url, message) => {
    const attempt = () => read({ artifactUrl: url });
    expect(attempt).toThrow(message);
    expect(attempt).toThrow(expect.objectContaining({ code: "bad-answer", hint: expect.any(String) }));
    expect(attempt).not.toThrow("secret");
  });

  test("of a scheme that nothing here opens says which would do", () => {
    const bytes = toBinary(CurrentResponseSchema, create(CurrentResponseSchema, answer));
    expect(() => readCurrent(bytes, ["ghr", "s3"], "ask")).toThrow(
      expect.objectContaining({ hint: "artifacts are fetched from ghr://, s3://" }),
    );
  });

  test.each(["a\nb", "a\u0007", "é", "a".repeat(1025)])("with the id %j is bad", (id) => {
    expect(() => read({ id })).toThrow(expect.objectContaining({ code: "bad-answer" }));
  });

  test("may have no id", () => {
    expect(read({ id: "" })).toMatchObject({ id: "", release: { artifact: { url: artifactUrl } } });
  });

  test.each<[string, { seconds: bigint; nanos?: number } | undefined, string | null]>([
    ["none", undefined, null],
    ["a time", { seconds: 1763717806n, nanos: 123_000_000 }, "2025-11-21T09:36:46.123Z"],
    ["Go's unset time", { seconds: -62135596800n }, null],
    ["protobuf's unset time", { seconds: 0n }, null],
    ["a time beyond all calendars", { seconds: 9_000_000_000_000_000n }, null],
  ])("was created at %s", (_, createdAt, expected) => {
    const created = read(createdAt === undefined ? {} : { createdAt }).release.createdAt;
    expect(created?.toISOString() ?? null).toBe(expected);
  });
});
