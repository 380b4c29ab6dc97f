/** The registry: every layout with its groups and blocks, as the server tells it. */
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useState } from "react";
import type { Layout, LayoutGroup } from "@/api/client";
import { layoutsQuery, useRegistry } from "@/api/registry";
import { Button, Empty, Mark, Note, Page } from "@/components/ui";
import { countOf } from "@/lib/format";
import { useTitle } from "@/lib/hooks";
import css from "./layouts.module.css";

export function LayoutsPage() {
  useTitle("Layouts");
  const [text, setText] = useState("");
  const [legacy, setLegacy] = useState(false);
  const query = useQuery(layoutsQuery);
  const registry = useRegistry();
  const wanted = text.trim().toLowerCase();
  const layouts = query.data ?? [];
  const shown = layouts.filter(
    (layout) =>
      (legacy || !layout.legacy) &&
      [
        layout.id,
        layout.title,
        layout.family,
        ...layout.architectures.map((id) => registry.architecture(id)?.name ?? id),
      ]
        .join("\n")
        .toLowerCase()
        .includes(wanted),
  );
  return (
    <Page>
      <header className={css.top}>
        <div>
          <h1>Layouts</h1>
          <p className={css.lead}>
            The ordered blocks of each kind of model. A LoRA’s strengths are told along its layout.
          </p>
        </div>
        <div className={css.tools}>
          <input
            type="search"
            value={text}
            placeholder="Filter"
            aria-label="Filter layouts"
            onChange={(event) => setText(event.target.value)}
          />
          <label>
            <input type="checkbox" checked={legacy} onChange={(event) => setLegacy(event.target.checked)} />
            earlier names too
          </label>
        </div>
      </header>
      {query.error !== null && (
        <Note
          tone="bad"
          title="The layouts could not be read"
          actions={<Button onClick={() => void query.refetch()}>Try again</Button>}
        >
          <p>{query.error.message}</p>
        </Note>
      )}
      {query.isSuccess && shown.length === 0 && <Empty title="No layout matches" />}
      <p className="visually-hidden" role="status">
        {countOf(shown.length, "layout", "layouts")}
      </p>
      <ul className={css.list}>
        {shown.map((layout) => (
          <LayoutItem key={layout.id} layout={layout} />
        ))}
      </ul>
    </Page>
  );
}

function LayoutItem({ layout }: { layout: Layout }) {
  const registry = useRegistry();
  return (
    <li className={css.layout}>
      <div>
        <h2 className={css.title}>{layout.title}</h2>
        <p className={css.id}>
          <Link to="/" search={{ layout: layout.id }} className="mono" title="Entries with this layout">
            {layout.id}
          </Link>
          {layout.legacy && <Mark title="Understood in old data, never written anew.">earlier name</Mark>}
        </p>
        <p className={css.architectures}>
          {layout.architectures.map((id) => registry.architecture(id)?.name ?? id).join(", ")}
        </p>
      </div>
      <div className={css.groups}>
        {layout.groups.map((group) => (
          <Group key={group.key} group={group} layout={layout} colour={registry.colourOf(group.key)} />
        ))}
      </div>
      <p className={css.count}>
        {layout.block_count} <span className="faint">{layout.block_count === 1 ? "block" : "blocks"}</span>
      </p>
    </li>
  );
}

function Group({ group, layout, colour }: { group: LayoutGroup; layout: Layout; colour: string }) {
  const blocks = layout.blocks.slice(group.start, group.start + group.count);
  const first = blocks[0]?.label ?? "";
  const last = blocks.at(-1)?.label ?? "";
  return (
    <div className={css.group}>
      <div className={css.ticks} aria-hidden="true">
        {blocks.map((block) => (
          <i key={block.block_index} title={block.label} style={{ background: colour }} />
        ))}
      </div>
      <p>
        {group.title} <span className="faint">{group.count}</span>
        <span className={`mono ${css.span}`}>{first === last ? first : `${first}–${last}`}</span>
      </p>
    </div>
  );
}
