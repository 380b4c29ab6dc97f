/** The page of one LoRA, put together from rooms that do not know each other. */
import { LoraPage } from "@/features/lora/LoraPage";
import { ProfilesPanel } from "@/features/profiles/ProfilesPanel";

export function EntryPage() {
  return (
    <LoraPage belowBlocks={(entry, blocks) => <ProfilesPanel stableId={entry.stable_id} blocks={blocks} />} />
  );
}
