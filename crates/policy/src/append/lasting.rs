//! Whether an author has what it takes for as long as the role that he gives.

use std::collections::BTreeSet;

use vereda_base::Timestamp;

use super::{Append, Moment, OpRefusal};
use crate::{
    ChainState, Evaluator, Heads,
    term::{Term, term_given},
};

impl Append<'_> {
    /// Checks that what an author gives a role by lasts as long as the role: that all he needs he has also by roles that do
    /// not expire before. Otherwise whoever was let in for a time would let himself in for ever.
    pub(super) fn check_lasting(
        &self,
        state: &ChainState,
        evaluator: &Evaluator<'_>,
        moment: Moment,
    ) -> Result<(), OpRefusal> {
        let heads = evaluator.heads();
        let Some(given) = term_given(&self.op.body, &evaluator.parents(state)) else { return Ok(()) };
        if self.lasts_to(state, heads, given.last(), moment) {
            return Ok(());
        }
        let until = self.own_end(state, heads, moment);
        Err(OpRefusal::Outlasts { chain: state.id(), given, until, moment })
    }

    fn lasts_to(&self, state: &ChainState, heads: &Heads, time: Timestamp, moment: Moment) -> bool {
        let heads = heads.reaching(time);
        self.check_body_rights(state, &mut Evaluator::new(self.view, self.op.device, &heads), moment).is_ok()
    }

    /// Finds when the author's rights end by themselves, of the times at which roles expire in the chains that he relies on.
    fn own_end(&self, state: &ChainState, heads: &Heads, moment: Moment) -> Option<Timestamp> {
        let expiries = |state: &ChainState| -> Vec<Timestamp> {
            let standing = state.members().iter().filter(|held| held.until_seq.is_none());
            standing.filter_map(|held| held.expires).collect()
        };
        let mut times: BTreeSet<Timestamp> = expiries(state).into_iter().collect();
        for cite in &self.op.cites {
            times.extend(self.view.chain(&cite.chain).iter().flat_map(|cited| expiries(cited)));
        }
        // The later, the fewer roles count.
        let times: Vec<Timestamp> = times.into_iter().collect();
        let count = times.partition_point(|time| self.lasts_to(state, heads, Term::Until(*time).last(), moment));
        times.get(count.checked_sub(1)?).copied()
    }
}
