import { storeContract } from "./contract.ts";
import { openFixture } from "./s3-fixture.ts";

storeContract("S3 (MinIO)", openFixture, {
  versionsFollowContent: "an ETag is the content's MD5 (AWS's, too, without KMS)",
});
