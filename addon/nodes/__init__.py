"""Node trees, in the one way in which the add-on builds them: a ``Graph`` writes expressions.

::

    graph = Graph.new("Lifted")                        # or Graph(tree) of a material, a world ...
    land, height = graph.input("Geometry", "Geometry"), graph.input("Height", "Float")
    with graph.section("Up it goes"):                  # a labelled frame around the nodes
        place = graph.vector(z=0.5 * height)           # numbers are reckoned with
        moved = graph.add("GeometryNodeSetPosition", Geometry=land, Offset=place)
    graph.output(Geometry=moved.outputs[0])            # completes the tree, and arranges it

``graph`` has the builder for every kind of tree, ``interface`` a group's inputs in panels,
``arrange`` the tree as an artist sees it, ``signature`` what tells whether one was changed,
``materials`` and ``geometry`` the materials and objects that are made of trees, and ``color`` the
way from sRGB to linear.
"""
