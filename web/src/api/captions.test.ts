import { expect, test } from "vitest";
import { hearCaptions } from "./captions";
import type { OpenFindings } from "./findings";
import { EventStreamReader } from "./eventStream";

test("captions, findings and the analysis' state come by one stream; what this page does not know is passed over", () => {
  const told: string[] = [];
  const ears = {
    onCaption: ({ text }: { text: string }) => told.push(text),
    onAnalysis: ({ step }: { step: string }) => told.push(step),
    onFindings: ({ streams }: OpenFindings) => told.push(...Object.values(streams).flatMap((open) => open.map(({ finding }) => finding))),
  };
  const text = ': hello\n\nevent: analysis\ndata: {"step":"whole"}\n\nevent: caption\ndata: {"text":"请出示"}\n\nevent: findings\ndata: {"streams":{"s1":[{"finding":"frozen"}],"s2":[]}}\n\nevent: weather\ndata: rain\n\n';
  for (const message of new EventStreamReader().feed(text)) hearCaptions(message, ears);
  expect(told).toEqual(["whole", "请出示", "frozen"]);
});
