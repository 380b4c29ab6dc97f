/** Files that are gone or cannot be read, with the one thing that can be done about each. */
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useState } from "react";
import { api, type LoraRow } from "@/api/client";
import { indexStatusQuery } from "@/api/indexStatus";
import { Note } from "@/components/ui";
import { countOf, displayName, withoutPath } from "@/lib/format";
import { Confirm } from "./Confirm";
import css from "./health.module.css";

const SHOWN = 50;

export function Unreadable({ count }: { count: number }) {
  return (
    <Listed
      id="unreadable"
      title="Files that cannot be read"
      lead="They are listed with the reason. A file that was copied or downloaded again can be tried again."
      nothing="Every file could be read."
      count={count}
      state="unreadable"
      reason={(row) => withoutPath(row.error ?? "", row.file_path)}
      action="Try again"
      question="Read this file again now?"
      run={async (id) => {
        const answer = await api.reindexOne(id);
        return answer.error === null ? `${id} could be read.` : `${id} is as it was: ${answer.error}`;
      }}
    />
  );
}

export function Missing({ count }: { count: number }) {
  return (
    <Listed
      id="missing"
      title="Missing files"
      lead="Their files are not where they were last seen. One that turns up again, anywhere, keeps its id; one that is gone for good can be forgotten."
      nothing="Every file is in its place."
      count={count}
      state="missing"
      reason={(row) => row.lora_name}
      action="Forget"
      question="Forget it? Its id is never given to another."
      run={async (id) => {
        await api.forget(id);
        return `${id} is forgotten.`;
      }}
    />
  );
}

interface ListedProps {
  id: string;
  title: string;
  lead: string;
  nothing: string;
  count: number;
  state: "missing" | "unreadable";
  reason: (row: LoraRow) => string;
  action: string;
  question: string;
  /** Does it, and says in a sentence what came of it. */
  run: (stableId: string) => Promise<string>;
}

function Listed({ id, title, lead, nothing, count, state, reason, action, question, run }: ListedProps) {
  const client = useQueryClient();
  const [said, setSaid] = useState<string | null>(null);
  const query = useQuery({
    queryKey: ["search", "health", state],
    queryFn: ({ signal }) => api.search({ state, limit: SHOWN }, signal),
    enabled: count > 0,
  });
  const repair = useMutation({
    mutationFn: run,
    onMutate: () => setSaid(null),
    onSuccess: setSaid,
    onSettled: () =>
      Promise.all([
        client.invalidateQueries({ queryKey: ["search"] }),
        client.invalidateQueries({ queryKey: ["lora"] }),
        client.invalidateQueries({ queryKey: indexStatusQuery.queryKey }),
      ]),
  });
  const rows = count > 0 ? (query.data?.results ?? []) : [];
  const refused = query.error ?? repair.error;
  return (
    <section aria-labelledby={id}>
      <h2 id={id}>{title}</h2>
      <p className={css.lead}>{count === 0 ? nothing : lead}</p>
      <p role="status" className={css.said}>
        {said}
      </p>
      {refused !== null && (
        <Note tone="bad" title="The server refused">
          <p>{refused.message}</p>
        </Note>
      )}
      {rows.length > 0 && (
        <ul className={css.rows}>
          {rows.map((row) => (
            <li key={row.stable_id}>
              <Link to="/lora/$stableId" params={{ stableId: row.stable_id }} className="mono">
                {row.stable_id}
              </Link>
              <span>
                {displayName(row.filename)}
                <small>{reason(row)}</small>
              </span>
              <Confirm
                action={action}
                subject={row.stable_id}
                question={question}
                isBusy={repair.isPending && repair.variables === row.stable_id}
                onConfirm={() => repair.mutate(row.stable_id)}
              />
            </li>
          ))}
        </ul>
      )}
      {count > 0 && (
        <p className={css.more}>
          <Link to="/" search={{ state }}>
            {countOf(count, "entry", "entries")} in the library
          </Link>
        </p>
      )}
    </section>
  );
}
