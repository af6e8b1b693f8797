// Look-ups in a snapshot: names, sessions, accounts.

export function nameOf(state, id) {
  const customer = state.customers.find((one) => one.external_userid === id);
  if (customer) return customer.nickname;
  const staff = [...state.accounts.flatMap((one) => one.servicers), ...state.groups.flatMap((one) => one.members)];
  return staff.find((one) => one.userid === id)?.name ?? id ?? '';
}

export function accountOf(state, openKfid) {
  return state.accounts.find((one) => one.open_kfid === openKfid);
}

export function sessionOf(state, openKfid, customer) {
  return state.sessions.find((one) => one.open_kfid === openKfid && one.external_userid === customer);
}

export function keyOf(session) {
  return `${session.open_kfid}/${session.external_userid}`;
}

export function lastAt(session) {
  return session.messages.at(-1)?.at ?? 0;
}

export function allServicers(state) {
  const byId = new Map(state.accounts.flatMap((one) => one.servicers).map((one) => [one.userid, one]));
  return [...byId.values()];
}
